//! What a scripted DNS server answers to a question: patterns of names, each with a behaviour that may misbehave.

use std::collections::HashMap;
use std::iter;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::dns_record::{Data, Kind, Record, start_of_authority};
use crate::dns_wire::{
    Message, NO_ERROR, NO_SUCH_NAME, RECURSION_AVAILABLE, RECURSION_DESIRED, REFUSED, RESPONSE,
    SERVER_FAILURE, TRUNCATED,
};

/// What every resolver of old takes over UDP (RFC 1035, section 2.3.4).
const OLD_PAYLOAD: u16 = 512;

/// What the server says that it takes over UDP itself.
const OWN_PAYLOAD: u16 = 1232;

/// How many aliases are followed.
const ALIASES: usize = 8;

/// What the server does with a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers with those of the records that have the type; where none has, there is no data.
    Records(Vec<Record>),
    /// Says that every name has this IPv4 address, as a resolver does that sells advertisements.
    Wildcard(Ipv4Addr),
    /// The name is an alias; what the script says about its target comes with it.
    Cname(String),
    /// The name is there, but has no such record.
    NoData,
    /// There is no such name.
    NxDomain,
    /// The server failed.
    ServFail,
    /// The server does not want to answer.
    Refused,
    /// Never answers.
    Silent,
    /// Answers with octets that are no message.
    Garbage,
    /// Answers so with the number of another question, as a forger does who has to guess.
    WrongId(Box<Self>),
    /// Answers so, but to the question for another name.
    WrongQuestion(Box<Self>),
    /// Answers so, later; nobody else waits for it.
    Delay(Duration, Box<Self>),
    /// Answers so over TCP; over UDP says that it has no room, even for one record.
    Truncated(Box<Self>),
    /// Each question number `every` is answered by `other`; the first is number 1, whatever its type.
    Flaky {
        /// How many questions there are from one to the next.
        every: usize,
        /// What the others get.
        usual: Box<Self>,
        /// What these get.
        other: Box<Self>,
    },
    /// Within an outage, what would be answered without it; elsewhere there is no such name.
    Usual,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// After how long.
    pub(crate) after: Duration,
    /// The message, as it goes over UDP.
    pub(crate) octets: Vec<u8>,
}

/// All that the server was told.
#[derive(Debug)]
pub(crate) struct Script {
    rules: HashMap<String, Rule>,
    outages: HashMap<String, Rule>,
    /// For how long what is not there may be kept, in seconds; where nothing is said, there is no SOA record.
    pub(crate) negative_ttl: Option<u32>,
}

#[derive(Debug)]
struct Rule {
    behaviour: Behaviour,
    asked: usize,
}

/// An answer that comes into being.
#[derive(Debug)]
struct Plan {
    code: u16,
    answers: Vec<(String, Record)>,
    after: Duration,
    fault: Option<Fault>,
    is_cut: bool,
}

#[derive(Debug)]
enum Fault {
    Garbage,
    WrongId,
    WrongQuestion,
}

/// A question while its answer is looked for.
#[derive(Clone, Copy, Debug)]
struct Asked<'a> {
    name: &'a str,
    kind: Kind,
    /// How many more aliases may be followed.
    aliases: usize,
    /// How often the behaviour was asked, with this question.
    turn: usize,
    /// Whether a pattern speaks, and no outage.
    is_usual: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self { rules: HashMap::new(), outages: HashMap::new(), negative_ttl: Some(60) }
    }
}

impl Script {
    /// From now on `behaviour` answers for `pattern`.
    pub(crate) fn set(&mut self, pattern: &str, behaviour: Behaviour) {
        self.rules.insert(normal(pattern), Rule::new(behaviour));
    }

    /// From now on nothing is known about `pattern`.
    pub(crate) fn remove(&mut self, pattern: &str) {
        self.rules.remove(&normal(pattern));
    }

    /// Gives `name` one more record; what it did before is over, unless that was to answer with records.
    pub(crate) fn add(&mut self, name: &str, record: Record) {
        match self.rules.get_mut(&normal(name)) {
            Some(Rule { behaviour: Behaviour::Records(records), .. }) => records.push(record),
            _ => self.set(name, Behaviour::Records(vec![record])),
        }
    }

    /// Makes `name` one that is there, unless something is known about it.
    pub(crate) fn exists(&mut self, name: &str) {
        self.rules.entry(normal(name)).or_insert_with(|| Rule::new(Behaviour::NoData));
    }

    /// From now on `behaviour` answers for `suffix` and all below it, whatever is said about them.
    pub(crate) fn outage(&mut self, suffix: &str, behaviour: Behaviour) {
        self.outages.insert(normal(suffix), Rule::new(behaviour));
    }

    /// Ends the outage.
    pub(crate) fn recover(&mut self, suffix: &str) {
        self.outages.remove(&normal(suffix));
    }

    /// What comes back to `question`; nothing where the script is silent.
    pub(crate) fn reply(&mut self, question: &Message, over_tcp: bool) -> Option<Reply> {
        let plan = self.plan(&question.name, question.kind, ALIASES)?;
        let flags = RESPONSE | question.flags & RECURSION_DESIRED | RECURSION_AVAILABLE | plan.code;
        let mut message = Message {
            flags,
            answers: plan.answers,
            payload: question.payload.map(|_theirs| OWN_PAYLOAD),
            ..question.clone()
        };
        let found = message.answers.iter().any(|(_, record)| answers(record, question.kind));
        let is_negative = matches!(plan.code, NO_ERROR | NO_SUCH_NAME) && !found;
        if is_negative {
            let soa = self.negative_ttl.map(start_of_authority);
            message.authority.extend(soa.map(|record| (String::new(), record)));
        }
        match plan.fault {
            None => {}
            Some(Fault::WrongId) => message.id = !message.id,
            Some(Fault::WrongQuestion) => "not.asked.for.example".clone_into(&mut message.name),
            Some(Fault::Garbage) => {
                let octets = [&question.id.to_be_bytes(), [0xff; 40].as_slice()].concat();
                return Some(Reply { after: plan.after, octets });
            }
        }
        let room = usize::from(question.payload.unwrap_or(0).max(OLD_PAYLOAD));
        let mut octets = message.write();
        if !over_tcp && (plan.is_cut || octets.len() > room) {
            message.flags |= TRUNCATED;
            message.answers.clear();
            message.authority.clear();
            octets = message.write();
        }
        Some(Reply { after: plan.after, octets })
    }

    fn plan(&mut self, name: &str, kind: Kind, aliases: usize) -> Option<Plan> {
        let (behaviour, turn) = self.in_outage(name).unwrap_or((Behaviour::Usual, 0));
        self.carry_out(behaviour, Asked { name, kind, aliases, turn, is_usual: false })
    }

    /// What is said about `name` by the outage of the longest suffix, and how often it was asked for.
    fn in_outage(&mut self, name: &str) -> Option<(Behaviour, usize)> {
        let name = normal(name);
        let suffix = suffixes(&name).find(|suffix| self.outages.contains_key(*suffix))?;
        self.outages.get_mut(suffix).map(Rule::take_turn)
    }

    /// The same by the longest pattern.
    fn usually(&mut self, name: &str) -> Option<(Behaviour, usize)> {
        let name = normal(name);
        let wildcards = suffixes(&name).skip(1).map(|suffix| match suffix {
            "" => "*".to_owned(),
            suffix => format!("*.{suffix}"),
        });
        let mut patterns = iter::once(name.clone()).chain(wildcards);
        let pattern = patterns.find(|pattern| self.rules.contains_key(pattern))?;
        self.rules.get_mut(&pattern).map(Rule::take_turn)
    }

    fn carry_out(&mut self, behaviour: Behaviour, asked: Asked<'_>) -> Option<Plan> {
        let owned = |record| (asked.name.to_owned(), record);
        Some(match behaviour {
            Behaviour::Records(mut records) => {
                records.retain(|record| answers(record, asked.kind));
                Plan { answers: records.into_iter().map(owned).collect(), ..Plan::new(NO_ERROR) }
            }
            Behaviour::Wildcard(address) => {
                let record = (asked.kind == Kind::A).then(|| owned(Record::address(address)));
                Plan { answers: record.into_iter().collect(), ..Plan::new(NO_ERROR) }
            }
            Behaviour::Cname(target) => {
                let mut plan = match asked.aliases.checked_sub(1) {
                    None => return Some(Plan::new(SERVER_FAILURE)),
                    Some(_) if asked.kind == Kind::CNAME => Plan::new(NO_ERROR),
                    Some(aliases) => self.plan(&target, asked.kind, aliases)?,
                };
                if plan.code == NO_ERROR || plan.code == NO_SUCH_NAME {
                    plan.answers.insert(0, owned(Record::new(Data::Cname(target))));
                }
                plan
            }
            Behaviour::NoData => Plan::new(NO_ERROR),
            Behaviour::NxDomain => Plan::new(NO_SUCH_NAME),
            Behaviour::ServFail => Plan::new(SERVER_FAILURE),
            Behaviour::Refused => Plan::new(REFUSED),
            Behaviour::Silent => return None,
            Behaviour::Garbage => Plan { fault: Some(Fault::Garbage), ..Plan::new(NO_ERROR) },
            Behaviour::WrongId(inner) => {
                Plan { fault: Some(Fault::WrongId), ..self.carry_out(*inner, asked)? }
            }
            Behaviour::WrongQuestion(inner) => {
                Plan { fault: Some(Fault::WrongQuestion), ..self.carry_out(*inner, asked)? }
            }
            Behaviour::Delay(by, inner) => {
                let plan = self.carry_out(*inner, asked)?;
                Plan { after: plan.after + by, ..plan }
            }
            Behaviour::Truncated(inner) => Plan { is_cut: true, ..self.carry_out(*inner, asked)? },
            Behaviour::Flaky { every, usual, other } => {
                let is_other = asked.turn.is_multiple_of(every.max(1));
                self.carry_out(if is_other { *other } else { *usual }, asked)?
            }
            Behaviour::Usual if asked.is_usual => Plan::new(NO_SUCH_NAME),
            Behaviour::Usual => {
                let (usual, turn) = self.usually(asked.name).unwrap_or((Behaviour::NxDomain, 0));
                self.carry_out(usual, Asked { turn, is_usual: true, ..asked })?
            }
        })
    }
}

impl Rule {
    fn new(behaviour: Behaviour) -> Self {
        Self { behaviour, asked: 0 }
    }

    fn take_turn(&mut self) -> (Behaviour, usize) {
        self.asked += 1;
        (self.behaviour.clone(), self.asked)
    }
}

impl Plan {
    fn new(code: u16) -> Self {
        Self { code, answers: Vec::new(), after: Duration::ZERO, fault: None, is_cut: false }
    }
}

/// A name as it is compared: in lower case, without a dot at the end.
pub(crate) fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether the normal `name` is `suffix` or below it.
pub(crate) fn is_within(name: &str, suffix: &str) -> bool {
    suffixes(name).any(|own| own == suffix)
}

/// The name, what is above it, and so on to the root, which is empty.
fn suffixes(name: &str) -> impl Iterator<Item = &str> {
    iter::successors(Some(name), |name| match name.split_once('.') {
        Some((_label, above)) => Some(above),
        None => (!name.is_empty()).then_some(""),
    })
}

fn answers(record: &Record, kind: Kind) -> bool {
    kind == Kind::ANY || record.kind() == kind
}
