//! Zones at work, with a resolver that answers as told, on a clock that is told, too.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::fake::Fake;
use super::{Asker, ConfiguredZone, Fault, Kind, Records, Zones};
use crate::alarm::Alarms;
use crate::clock::Clock;
use crate::list::ListAction;
use crate::zone::{Domain, Illness, Lookup, Transition, Zone, ZoneClass};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99));
const QUESTION: &str = "99.2.0.192.zen.example.org.";

fn zone(name: &str, key: Option<&str>) -> Zone {
    let domain = Domain::new("zen.example.org", key).unwrap();
    Zone::new(name, domain, ZoneClass::ThirdPartyBad, ListAction::Reject)
}

fn on(zone: Zone) -> ConfiguredZone {
    ConfiguredZone { zone: Arc::new(zone), enabled: true }
}

struct World {
    fake: Fake,
    zones: Zones,
    alarms: Alarms,
    events: Arc<Mutex<Vec<String>>>,
}

/// Zones whose first look at the test entries is over.
async fn world(fake: Fake, configured: Vec<ConfiguredZone>) -> World {
    let (alarms, events) = (Alarms::default(), Arc::<Mutex<Vec<String>>>::default());
    let asker = Asker::new(Arc::new(fake.clone()), Duration::from_secs(2));
    let noted = Arc::clone(&events);
    let zones = Zones::new(asker, alarms.clone(), Clock::System, move |event| {
        let Transition { family, to, .. } = event.transition;
        let illness = to.illness().map_or("", Illness::name);
        let event = format!("{} {} {} {illness}", event.zone.name, family.name(), to.name());
        noted.lock().unwrap().push(event.trim_end().to_owned());
    });
    zones.set(configured);
    tokio::spawn(zones.clone().run(std::future::pending()));
    assert!(zones.first_probes(Duration::from_secs(30)).await);
    World { fake, zones, alarms, events }
}

impl World {
    async fn look_up(&self, address: IpAddr) -> Lookup {
        let deadline = Instant::now() + Duration::from_secs(2);
        self.zones.look_up(address, |_| true, deadline).await
    }

    /// What zones say, in words.
    async fn said(&self) -> String {
        let Lookup { listings, silent } = self.look_up(ADDRESS).await;
        let listings = listings.iter().map(|listing| {
            let text = listing.text.as_deref().unwrap_or("-");
            format!("{}={} {text}", listing.zone.name, listing.codes())
        });
        let silent = silent.iter().map(|(zone, why)| format!("{}:{}", zone.name, why.name()));
        listings.chain(silent).collect::<Vec<_>>().join(" ")
    }

    fn state(&self) -> &'static str {
        self.zones.status().first().unwrap().state
    }
}

#[tokio::test(start_paused = true)]
async fn zones_of_one_domain_ask_once_and_read_the_answer_their_own_way() {
    let fake = Fake::with_zone("zen.example.org");
    fake.list(QUESTION, [127, 0, 0, 10]);
    let text = Records::Txt(vec!["https://example.org/\r\nq".to_owned()]);
    fake.tell(Kind::Txt, QUESTION, 300, Ok(text));
    let filtered = |name: &str, filter: &str| {
        on(Zone { filters: vec![filter.parse().unwrap()], ..zone(name, None) })
    };
    let dry = Zone { enforce: false, ..zone("c", None) };
    let zones = vec![filtered("a", "127.0.0.10"), filtered("b", "127.0.0.2"), on(dry)];
    let world = world(fake, zones).await;
    for hits in [0, 1, 2] {
        let expected = "a=127.0.0.10 https://example.org/ q c=127.0.0.10 -";
        assert_eq!(world.said().await, expected);
        let counts = world.zones.status().swap_remove(0).counts;
        assert_eq!((counts.queries, counts.listed, counts.cache_hits), (1, 1, hits));
    }
    assert_eq!(world.fake.asked(Kind::A, QUESTION), 1);
    assert_eq!(world.fake.asked(Kind::Txt, QUESTION), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_zone_costs_no_more_than_the_time_there_is() {
    let fake = Fake::with_zone("zen.example.org");
    fake.list(QUESTION, [127, 0, 0, 2]);
    let world = world(fake, vec![on(zone("zen", None))]).await;
    world.fake.delay(20);
    let begun = Instant::now();
    assert_eq!(world.said().await, "zen:timeout");
    assert_eq!(begun.elapsed().as_secs(), 2);
    sleep(Duration::from_secs(19)).await;
    world.fake.delay(0);
    assert_eq!(world.said().await, "zen=127.0.0.2 -");
    let counts = world.zones.status().swap_remove(0).counts;
    assert_eq!((counts.late, counts.faults.get("timeout"), counts.queries), (1, Some(&1), 1));
}

#[tokio::test(start_paused = true)]
async fn a_dead_resolver_is_left_alone_until_it_answers() {
    let world = world(Fake::with_zone("zen.example.org"), vec![on(zone("zen", None))]).await;
    assert_eq!(world.state(), "healthy");
    let events = world.events.lock().unwrap().clone();
    assert_eq!(events, ["zen ipv4 healthy", "zen ipv6 not-offered"]);
    let dead = Err(Fault::ServerFailure);
    world.fake.rest(dead.clone());
    world.fake.tell(Kind::A, "2.0.0.127.zen.example.org.", 0, dead);
    for last in 1..=6_u8 {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
        let lookup = world.look_up(address).await;
        assert!(lookup.listings.is_empty());
        let expected = if last > 5 { "unreachable" } else { "servfail" };
        assert_eq!(lookup.silent[0].1.name(), expected, "{last}");
    }
    assert_eq!(world.fake.asked(Kind::A, "6.2.0.192.zen.example.org."), 0);
    let alarm = world.alarms.list().swap_remove(0);
    assert_eq!(alarm.about, "zone:zen");
    assert!(alarm.text.starts_with("zen.example.org is not asked: the resolver fails"));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(world.state(), "ill");
    world.fake.rest(Ok(Records::None));
    world.fake.list("2.0.0.127.zen.example.org.", [127, 0, 0, 2]);
    sleep(Duration::from_mins(2)).await;
    assert_eq!((world.state(), world.alarms.list().len()), ("healthy", 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_zone_that_listed_everything_does_not_count_later() {
    let world = world(Fake::with_zone("zen.example.org"), vec![on(zone("zen", None))]).await;
    world.fake.list(QUESTION, [127, 0, 0, 2]);
    assert_eq!(world.said().await, "zen=127.0.0.2 -");
    world.fake.list("1.0.0.127.zen.example.org.", [127, 0, 0, 2]);
    assert_eq!(world.said().await, "zen=127.0.0.2 -", "it was proved a moment ago");
    sleep(Duration::from_secs(11)).await;
    for _ in 0..2 {
        assert_eq!(world.said().await, "zen:lists-everything");
    }
    assert_eq!(world.state(), "ill");
    world.fake.tell(Kind::A, QUESTION, 3600, Ok(Records::None));
    world.fake.forget(Kind::A, "1.0.0.127.zen.example.org.");
    let test = world.zones.test("zen").await.unwrap();
    assert!(test.well, "{}", test.verdict);
    assert_eq!(world.said().await, "", "a look by hand brings it back, too");
}

#[tokio::test(start_paused = true)]
async fn an_error_makes_a_zone_ill_at_once_and_is_never_a_listing() {
    let world = world(Fake::with_zone("zen.example.org"), vec![on(zone("zen", None))]).await;
    world.fake.list(QUESTION, [127, 255, 255, 254]);
    assert_eq!(world.said().await, "zen:open-resolver");
    let status = world.zones.status().swap_remove(0);
    assert_eq!(status.state, "ill");
    assert!(status.remedy.unwrap().contains("resolver of your own"));
    sleep(Duration::from_secs(16)).await;
    assert_eq!(world.state(), "healthy", "its test entries are right");
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_is_switched_off_is_not_asked() {
    let world = world(Fake::with_zone("zen.example.org"), vec![on(zone("zen", None))]).await;
    world.fake.list(QUESTION, [127, 0, 0, 2]);
    let off = ConfiguredZone { enabled: false, ..on(zone("zen", None)) };
    world.zones.set(vec![off]);
    assert_eq!((world.said().await, world.state()), (String::new(), "off"));
    world.zones.set(vec![on(zone("zen", None))]);
    assert_eq!(world.said().await, "zen:unproven");
    assert!(world.zones.first_probes(Duration::from_secs(1)).await);
    assert_eq!(world.said().await, "zen=127.0.0.2 -");
    world.zones.set(Vec::new());
    assert!(world.look_up(ADDRESS).await.listings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_key_is_told_nowhere() {
    let fake = Fake::with_zone("s3cret.zen.example.org");
    let question = "99.2.0.192.s3cret.zen.example.org.";
    fake.list(question, [127, 0, 0, 2]);
    let text = Records::Txt(vec![format!("see {question}")]);
    fake.tell(Kind::Txt, question, 300, Ok(text));
    let world = world(fake, vec![on(zone("zen", Some("s3cret")))]).await;
    assert_eq!(world.said().await, "zen=127.0.0.2 -");
    world.fake.list("99.2.0.192.zen.example.org.", [127, 255, 255, 252]);
    let found = world.look_up(ADDRESS).await;
    let status = serde_json::to_string(&world.zones.status()).unwrap();
    let test = serde_json::to_string(&world.zones.test("zen").await).unwrap();
    let shown = format!("{found:?} {status} {test} {:?} {:?}", world.zones, world.zones.status());
    assert!(shown.contains("zen.example.org") && !shown.contains("s3cret"), "{shown}");
    world.fake.rest(Err(Fault::ServerFailure));
    world.fake.forget(Kind::A, "2.0.0.127.s3cret.zen.example.org.");
    for last in 0..9 {
        drop(world.look_up(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))).await);
    }
    let alarms = format!("{:?}", world.alarms.list());
    assert!(alarms.contains("zone:zen") && !alarms.contains("s3cret"), "{alarms}");
}
