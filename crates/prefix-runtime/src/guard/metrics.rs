//! The guard's own `/metrics`, served by a minimal HTTP/1.1 server.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use prefix_core::name::SpeakerName;
use prefix_guard::GuardState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::Published;

/// The longest time for one request and its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most clients at a time.
const MOST_CLIENTS: usize = 16;
/// The largest head of a request, in octets.
const LONGEST_HEAD: usize = 8192;

/// Answers requests without end, several at a time. When there are too many, the oldest is given up: whoever holds
/// connections open keeps nobody else out.
pub(super) async fn serve(listener: TcpListener, guards: Published) {
    let mut answering: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                answering.retain(|answer| !answer.is_finished());
                if answering.len() >= MOST_CLIENTS
                    && let Some(oldest) = answering.pop_front()
                {
                    oldest.abort();
                }
                let guards = guards.clone();
                let answer = tokio::spawn(async move {
                    // a client that disconnects early needs no answer
                    let _ = timeout(PATIENCE, answer(stream, &guards)).await;
                });
                answering.push_back(answer.abort_handle());
            }
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics cannot be accepted");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, guards: &Published) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > LONGEST_HEAD || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let mut words = head.split(|byte| *byte == b' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, body) = match (method, path.split(|byte| *byte == b'?').next()) {
        (b"GET", Some(b"/metrics")) => {
            let states = guards.iter().map(|(name, guard)| (name.as_ref(), guard.borrow().clone()));
            ("200 OK", text(&states.collect::<Vec<_>>()))
        }
        (b"GET", _) => ("404 Not Found", String::new()),
        _ => ("405 Method Not Allowed", String::new()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// The number that a metric takes from the state of a guard.
type Measure = fn(&GuardState) -> f64;

/// Name, type, help and value of each metric.
const METRICS: [(&str, &str, &str, Measure); 6] = [
    ("prefixd_guard_withdrawals_total", "counter", "Rules the guard took away.", |state| {
        number(usize::try_from(state.withdrawn).unwrap_or(usize::MAX))
    }),
    ("prefixd_guard_own_paths", "gauge", "Own paths in the speaker.", |state| number(state.own_paths)),
    ("prefixd_guard_overdue_paths", "gauge", "Own paths beyond their not-after and the grace.", |state| {
        number(state.overdue)
    }),
    ("prefixd_guard_untimed_paths", "gauge", "Own paths without a readable not-after.", |state| {
        number(state.untimed)
    }),
    ("prefixd_guard_speaker_up", "gauge", "1 while the speaker answers.", |state| {
        f64::from(u8::from(state.connected))
    }),
    (
        "prefixd_guard_last_pass_timestamp_seconds",
        "gauge",
        "When the whole table was last read, Unix time; 0 = never.",
        |state| state.table_read_at.map_or(0.0, |at| number(usize::try_from(at.timestamp()).unwrap_or(0))),
    ),
];

#[allow(clippy::cast_precision_loss, reason = "no table has 2^52 paths")]
fn number(count: usize) -> f64 {
    count as f64
}

/// The exposition format of Prometheus. Of several speakers each has its series, with its name as the label `speaker`.
fn text(states: &[(Option<&SpeakerName>, GuardState)]) -> String {
    let mut out =
        "# HELP prefixd_guard_up 1 while the guard runs\n# TYPE prefixd_guard_up gauge\nprefixd_guard_up 1\n"
            .to_owned();
    for (metric, kind, help, measure) in METRICS {
        // writing to a string cannot fail
        let _ = writeln!(out, "# HELP {metric} {help}\n# TYPE {metric} {kind}");
        for (name, state) in states {
            let label = name.map(|name| format!("{{speaker={:?}}}", name.as_str())).unwrap_or_default();
            let _ = writeln!(out, "{metric}{label} {}", measure(state));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tokio::sync::watch;

    use super::*;

    fn state() -> GuardState {
        GuardState {
            own_paths: 3,
            untimed: 0,
            overdue: 1,
            next_not_after: None,
            withdrawn: 7,
            connected: true,
            table_read_at: DateTime::from_timestamp(1_800_000_000, 0),
            problem: None,
        }
    }

    #[tokio::test]
    async fn metrics_are_answered_and_nothing_else_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (_sender, receiver) = watch::channel(state());
        tokio::spawn(serve(listener, vec![(None, receiver)]));
        let ask = async |request: &str| {
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        for line in [
            "prefixd_guard_up 1",
            "prefixd_guard_withdrawals_total 7",
            "prefixd_guard_own_paths 3",
            "prefixd_guard_overdue_paths 1",
            "prefixd_guard_last_pass_timestamp_seconds 1800000000",
        ] {
            assert!(answer.lines().any(|known| known == line), "{line} is not in\n{answer}");
        }
        assert!(ask("GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404"));
        assert!(ask("POST /metrics HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405"));
    }

    #[test]
    fn each_of_several_speakers_has_its_series() {
        let (rs1, rs2) = ("rs1".parse().unwrap(), "rs2".parse().unwrap());
        let text = text(&[(Some(&rs1), state()), (Some(&rs2), GuardState { connected: false, ..state() })]);
        for line in [
            "prefixd_guard_up 1",
            "prefixd_guard_speaker_up{speaker=\"rs1\"} 1",
            "prefixd_guard_speaker_up{speaker=\"rs2\"} 0",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("# TYPE prefixd_guard_own_paths").count(), 1);
    }

    /// Nobody is answered only because a slow one was given up in the end: that would take the whole patience.
    #[tokio::test]
    async fn clients_that_send_and_read_nothing_keep_nobody_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (_sender, receiver) = watch::channel(state());
        tokio::spawn(serve(listener, vec![(None, receiver)]));
        let mut silent = Vec::new();
        for _ in 0..3 * MOST_CLIENTS {
            silent.push(TcpStream::connect(at).await.unwrap());
        }
        let asking = async {
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = timeout(PATIENCE / 2, asking).await.expect("the silent ones keep it waiting");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        // the oldest was given up long before its time
        assert_eq!(
            timeout(PATIENCE / 2, silent[0].read(&mut [0; 1])).await.expect("it is still open").ok(),
            Some(0)
        );
    }
}
