//! `audit verify`: whether anybody has changed, removed or cut off entries of the audit trail, and where.

use crate::exit::{Exit, Failure};
use crate::output::{Format, Prose, Tone};
use crate::progress::Progress;
use crate::session::Session;
use crate::views::VERDICT;
use clap::Args;
use prefix_client::{ChainBreak, ChainProblem, ChainQuery, ChainVerdict, Reply};

/// Entries that one request checks: well within the time of a request.
const STRIDE: i64 = 50_000;

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A head hash noted earlier, which must still be part of the chain
    #[arg(long, value_name = "HASH", value_parser = hash)]
    expect: Option<String>,
    /// From this entry on
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(1..))]
    from: Option<i64>,
    /// Up to this entry
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(1..))]
    to: Option<i64>,
}

fn hash(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("a hash has 64 hex digits".to_owned())
}

/// Checks the chain of the answering instance's site; exit 1 if it is broken.
pub(crate) async fn run(session: &Session, arguments: &VerifyArgs) -> Result<Exit, Failure> {
    let (verdict, body) = whole(session, arguments).await?;
    session.show(&body, || {
        if session.format() == Format::Csv {
            return session.print_row(VERDICT, &verdict);
        }
        session.print(&report(session, &verdict))?;
        if verdict.valid && verdict.head_hash.is_some() {
            session.note(
                "note the head outside of this host; `prefixdctl audit verify --expect HEAD` tells later whether the end was cut off",
            );
        }
        Ok(())
    })?;
    Ok(if verdict.valid { Exit::Ok } else { Exit::General })
}

/// The verdict on everything that was asked for, stride by stride, and a body that says it.
async fn whole(session: &Session, arguments: &VerifyArgs) -> Result<(ChainVerdict, Vec<u8>), Failure> {
    let client = session.client()?;
    let mut progress = Progress::new(session, "checking the audit chain", None);
    let mut from = arguments.from;
    let mut sum: Option<ChainVerdict> = None;
    // found, or not asked for
    let mut expect = arguments.expect.clone();
    loop {
        let end = from.unwrap_or(1).saturating_add(STRIDE - 1);
        let to = arguments.to.map_or(end, |to| to.min(end));
        let mut query = ChainQuery { from_seq: from, to_seq: Some(to), expect: expect.clone() };
        let mut reply = client.verify_audit(&query).await?;
        if from.is_none() && arguments.to.is_none() && reply.value.checked == 0 {
            // a chain whose beginning was pruned begins further on
            query.to_seq = None;
            reply = client.verify_audit(&query).await?;
        }
        let Reply { value: mut verdict, body, .. } = reply;
        progress.advance(usize::try_from(verdict.checked).unwrap_or_default());
        let missed =
            verdict.broken.as_ref().is_some_and(|broken| broken.problem == ChainProblem::ExpectMissing);
        let more = verdict.last_seq == Some(to) && arguments.to.is_none_or(|last| to < last);
        if missed && more {
            // it may turn up in the next stride
            (verdict.valid, verdict.broken) = (true, None);
        } else if !missed {
            expect = None;
        }
        let first = sum.is_none();
        let joined = match sum.take() {
            Some(before) => joined(before, verdict),
            None => verdict,
        };
        if joined.broken.is_some() || !more {
            let body = if first {
                body.to_vec()
            } else {
                serde_json::to_vec(&joined)
                    .map_err(|error| Failure::General(format!("cannot write the verdict: {error}")))?
            };
            return Ok((joined, body));
        }
        from = Some(to.saturating_add(1));
        sum = Some(joined);
    }
}

/// Two verdicts on strides that follow each other.
fn joined(before: ChainVerdict, after: ChainVerdict) -> ChainVerdict {
    ChainVerdict {
        valid: after.valid,
        checked: before.checked + after.checked,
        first_seq: before.first_seq.or(after.first_seq),
        last_seq: after.last_seq.or(before.last_seq),
        head_hash: after.head_hash.or(before.head_hash),
        broken: after.broken,
    }
}

fn report(session: &Session, verdict: &ChainVerdict) -> String {
    let mut prose = Prose::new(session.eyes());
    let range = match (verdict.first_seq, verdict.last_seq) {
        (Some(first), Some(last)) => format!("{} entries, {first} to {last}", verdict.checked),
        _ => "no sealed entries".to_owned(),
    };
    match &verdict.broken {
        None if verdict.valid => prose.toned(Tone::Good, &format!("the audit chain is whole: {range}")),
        None => prose.toned(Tone::Bad, "the audit chain is BROKEN; the server does not say where"),
        Some(broken) => {
            prose.toned(Tone::Bad, &format!("the audit chain is BROKEN: {}", fault(broken)));
            prose.fact("sound", &range);
            prose.fact_of("entry", broken.audit_id);
        }
    }
    // of a broken chain it is only the last sound one, which nobody should note
    prose.fact_of("head", verdict.head_hash.as_ref().filter(|_| verdict.valid));
    prose.finish()
}

/// A fault in words.
fn fault(broken: &ChainBreak) -> String {
    let seq = broken.seq.map_or_else(|| "?".to_owned(), |seq| seq.to_string());
    match &broken.problem {
        ChainProblem::Hash => format!("entry {seq} was changed after it was sealed"),
        ChainProblem::Link => format!("entry {seq} does not follow the one before it"),
        ChainProblem::Gap => format!("entry {seq} is missing"),
        ChainProblem::ExpectMissing => {
            format!("the expected hash is not part of it, entries behind {seq} were cut off or replaced")
        }
        ChainProblem::Other(word) => format!("entry {seq}: {word}"),
    }
}
