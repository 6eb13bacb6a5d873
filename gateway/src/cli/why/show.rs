//! Prints stories for people; what strangers wrote is made safe.

use crate::cli::Failure;
use crate::cli::output::{self, Meaning};
use crate::cli::safe::safe;
use crate::story::{Step, Story};
use crate::why::{AddressAnswer, ToldRecord};

/// Prints one story.
pub(super) fn story(story: &Story) -> Result<(), Failure> {
    let meaning = if story.refused { Meaning::Bad } else { Meaning::Good };
    let headline = output::coloured(safe(&story.headline), meaning);
    output::headline(format_args!("{} {headline}", story.reference))?;
    steps(story)?;
    for (number, remedy) in story.next.iter().enumerate() {
        let name = if number == 0 { "what to type" } else { "" };
        output::field(name, format_args!("{}: {}", remedy.what, safe(&remedy.command)))?;
    }
    Ok(())
}

/// Prints what happened in a story, and whether it is still so.
pub(in super::super) fn steps(story: &Story) -> Result<(), Failure> {
    story.steps.iter().try_for_each(step)?;
    let (stands, meaning) = match story.stands.stands {
        Some(true) if story.refused => ("yes", Meaning::Bad),
        Some(true) => ("yes", Meaning::Good),
        Some(false) => ("no", Meaning::Doubtful),
        None => ("-", Meaning::Doubtful),
    };
    let stands = output::coloured(stands, meaning);
    output::field("still so", format_args!("{stands}: {}", safe(&story.stands.text)))
}

fn step(step: &Step) -> Result<(), Failure> {
    let time = step.time.map(|time| time.strftime("%m-%d %H:%M:%SZ").to_string());
    output::field(&time.unwrap_or_default(), safe(&step.text))
}

/// Prints what is known of an address.
pub(super) fn address(answer: &AddressAnswer, stories: &[ToldRecord]) -> Result<(), Failure> {
    output::headline(answer.ip)?;
    for line in &answer.summary {
        output::line(format_args!("  {}", safe(line)))?;
    }
    for told in stories {
        output::line("")?;
        story(&told.story)?;
    }
    Ok(())
}
