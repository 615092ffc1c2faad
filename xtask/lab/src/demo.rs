//! `cargo xtask demo`: the way of one event, shown with the example configuration, a real speaker and a real router.

use crate::screen::Screen;
use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use prefix_testkit::lab::{Daemon, Exabgp, GobgpVersion, Gobgpd, LabError, RouterSeat, RouterUpdate, wait};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The name server of the example inventory: it serves UDP port 53.
const VICTIM: &str = "203.0.113.10";

/// So long lives the rule here, instead of the two minutes of the example playbook: nobody likes to wait.
const TTL_SECONDS: u32 = 30;

/// Which playbook of the example file answers a UDP flood.
const UDP_PLAYBOOK: usize = 2;

/// Tells the story; with `keep` everything stays up after it, until Ctrl-C.
pub(crate) async fn run(keep: bool) -> Result<()> {
    let screen = Screen::new();
    let began = Instant::now();
    screen.heading("prefixd: from a detector's event to a rule in a router, and away again");
    let stage = Stage::set(screen).await?;

    screen.heading(&format!(
        "1. A detector reports a UDP flood on {VICTIM}, a name server of the example inventory"
    ));
    let sent = Utc::now();
    let flood = ["events", "send", "--source", "demo-detector", "--victim", VICTIM, "--vector", "udp_flood"];
    stage.prefixdctl(&[&flood[..], &["--bps", "4G", "--confidence", "0.9"]].concat())?;

    screen.heading("2. The router has the rule");
    let announced = stage
        .router
        .wait_for("the rule", |update| update.is_announcement() && is_about_the_victim(update))
        .await?;
    show_rule(screen, &announced)?;
    screen.good(&format!("in the router {:.0} ms after the command began", after(&announced, sent) * 1000.0));

    screen.heading("3. What the operator sees");
    stage.prefixdctl(&["mitigations", "list"])?;

    screen.heading("4. Nobody reports the attack again, so the rule leaves at its time");
    let withdrawn = stage.withdrawal(screen, &announced).await?;
    ensure!(stage.router.rib()?.is_empty(), "the router still holds rules: {:?}", stage.router.rib()?);
    ensure!(stage.router.times_up()? == 1, "the router lost its session on the way");
    screen.good(&format!(
        "withdrawn from the router {:.1} s after it came; it holds no rule any more",
        withdrawn.at - announced.at
    ));
    stage.nothing_lives().await?;
    stage.prefixdctl(&["mitigations", "list"])?;

    screen.heading(&format!("Done in {} s.", began.elapsed().as_secs()));
    if keep {
        stage.stays_up(screen).await?;
    }
    let ended = stage.daemon.sigterm().await?;
    ensure!(ended.success(), "prefixd ended with {ended}:\n{}", stage.daemon.log());
    Ok(())
}

/// Everything that runs for the demo. The daemon goes first.
struct Stage {
    daemon: Daemon,
    router: Exabgp,
    speaker: Gobgpd,
    configuration: tempfile::TempDir,
    screen: Screen,
}

impl Stage {
    async fn set(screen: Screen) -> Result<Self> {
        // The example configuration speaks iBGP with its routers.
        let seat = RouterSeat::claim(65010)?;
        let speaker = speaker(&seat).await?;
        let version = match speaker.version() {
            GobgpVersion::V3 => "3 (apt's: gobgpd 4 is not unpacked)",
            GobgpVersion::V4 => "4",
        };
        screen.fact("speaker", &format!("gobgpd {version}, gRPC API on {}", speaker.grpc_endpoint()));
        let router = Exabgp::start(&seat, &speaker).await?;
        screen.fact("router", &format!("ExaBGP on {}, its BGP session is up", seat.address()));

        let configuration = example_configuration()?;
        let daemon = Daemon::with_configuration(configuration.path())
            .program(program("prefixd")?)
            .env("PREFIXD__MODE", "enforced")
            // The folders of a demo go with it; a guard would outlive them.
            .env("PREFIXD__BGP__GUARD__MODE", "off")
            .env("PREFIXD__BGP__GOBGP_GRPC", speaker.grpc_endpoint())
            .env("PREFIXD__BGP__NEIGHBORS__0__ADDRESS", seat.address().to_string())
            .env("PREFIXD__OBSERVABILITY__LOG_FORMAT", "pretty")
            .env(
                &format!("PREFIXD__PLAYBOOKS__PLAYBOOKS__{UDP_PLAYBOOK}__STEPS__0__TTL_SECONDS"),
                TTL_SECONDS.to_string(),
            )
            .start()
            .await?;
        screen.fact(
            "daemon",
            &format!("prefixd on {}, enforcing, the files of configs/, SQLite", daemon.url()),
        );
        Ok(Self { daemon, router, speaker, configuration, screen })
    }

    /// Runs a command and shows it with its answer.
    fn prefixdctl(&self, words: &[&str]) -> Result<()> {
        let program = program("prefixdctl")?;
        self.screen.command(&format!("prefixdctl --api {} {}", self.daemon.url(), words.join(" ")));
        let mut command = Command::new(&program);
        command.env_remove("PREFIXD_API_TOKEN").env_remove("PREFIXD_OUTPUT").stdin(Stdio::null());
        let output = command.args(["--api", &self.daemon.url()]).args(words).output();
        let output = output.with_context(|| format!("cannot run {}", program.display()))?;
        self.screen.quote(&String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            bail!("prefixdctl failed, {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// Waits for the withdrawal, and tells how long it will be.
    async fn withdrawal(&self, screen: Screen, announced: &RouterUpdate) -> Result<RouterUpdate> {
        let listed: Value = serde_json::from_str(&self.daemon.get("/v1/mitigations").await?.body)?;
        let expires_at =
            listed["mitigations"][0]["expires_at"].as_str().context("the mitigation has no expiry")?;
        let expires_at: DateTime<Utc> = expires_at.parse()?;
        screen.fact(
            "expires",
            &format!("{} (the TTL of the playbook step, {TTL_SECONDS} s here)", time(expires_at)),
        );
        let gone = async |patience| {
            let is_gone = |update: &RouterUpdate| update.is_withdrawal() && update.nlri == announced.nlri;
            self.router.wait_for_within("the withdrawal", patience, is_gone).await
        };
        while let Ok(left @ 1..) = u64::try_from((expires_at - Utc::now()).num_seconds()) {
            screen.passing(&format!("{left} s to go"));
            match gone(Duration::from_secs(1)).await {
                Err(LabError::Deadline { .. }) => {}
                ended => {
                    screen.passed();
                    let update = ended?;
                    bail!("the rule left {left} s before its time: {update:?}");
                }
            }
        }
        screen.passed();
        Ok(gone(wait::PATIENCE).await?)
    }

    /// Fails if a rule still lives, in storage or in the speaker.
    async fn nothing_lives(&self) -> Result<()> {
        // the router may know before the row does: it is written when the speaker has confirmed
        let deadline = Instant::now() + wait::PATIENCE;
        loop {
            let unfinished = "/v1/mitigations?status=pending,active,escalated,withdrawing";
            let living: Value = serde_json::from_str(&self.daemon.get(unfinished).await?.body)?;
            if living["count"] == 0 {
                break;
            }
            ensure!(Instant::now() < deadline, "a mitigation still lives: {living}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let rules = self.speaker.rules(prefix_testkit::lab::Family::Ipv4FlowSpec).await?;
        ensure!(rules.is_empty(), "the speaker still has rules: {rules:?}");
        Ok(())
    }

    async fn stays_up(&self, screen: Screen) -> Result<()> {
        let url = self.daemon.url();
        screen.heading("It stays up until Ctrl-C:");
        screen.fact("API", &format!("{url}/v1/health/detail"));
        screen.fact("OpenAPI", &format!("{url}/openapi.json"));
        screen.fact("metrics", &format!("http://{}/metrics", self.daemon.metrics_address()));
        screen.fact("files", &self.configuration.path().display().to_string());
        screen.fact("try", &format!("export PREFIXD_API={url}"));
        let ctl = program("prefixdctl")?;
        screen.command(&format!("{} status", ctl.display()));
        screen.command(&format!("{} explain {VICTIM}", ctl.display()));
        tokio::signal::ctrl_c().await?;
        screen.passed();
        Ok(())
    }
}

/// gobgpd 4 as `cargo xtask setup` unpacks it, else the one of the machine's suite.
async fn speaker(seat: &RouterSeat) -> Result<Gobgpd> {
    match Gobgpd::version_of(GobgpVersion::V4).neighbor(seat).start().await {
        Err(LabError::Missing { .. }) => {
            Ok(Gobgpd::version_of(GobgpVersion::V3).neighbor(seat).start().await?)
        }
        started => Ok(started?),
    }
}

/// A copy of the example files, so that the database stays out of the checkout.
fn example_configuration() -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("prefixd-demo-").tempdir()?;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    for name in ["prefixd.yaml", "inventory.yaml", "playbooks.yaml", "correlation.yaml"] {
        std::fs::copy(examples.join(name), folder.path().join(name))
            .with_context(|| format!("cannot copy {name}"))?;
    }
    Ok(folder)
}

/// A program of this build, which stands beside ours.
fn program(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    ensure!(program.is_file(), "{} is not built: run `cargo xtask demo`", program.display());
    Ok(program)
}

fn is_about_the_victim(update: &RouterUpdate) -> bool {
    update.destination().and_then(|destination| destination.strip_prefix(VICTIM)) == Some("/32")
}

/// The rule as the router received it: in the router's own words, and byte by byte.
fn show_rule(screen: Screen, update: &RouterUpdate) -> Result<()> {
    let rule = update.parsed["string"].as_str().context("the router does not say what it received")?;
    screen.fact("match", rule.strip_prefix("flow ").unwrap_or(rule));
    let rate = update.traffic_rate_bytes_per_second().context("the rule has no rate")?;
    let action =
        if rate > 0.0 { format!("at most {} Mbit/s", rate * 8.0 / 1e6) } else { "discard".to_owned() };
    screen.fact("action", &format!("{action} (traffic-rate {rate} bytes/s)"));
    screen.fact("NLRI", &update.nlri_hex());
    screen.fact("community", &update.extended_communities_hex().join(" "));
    let tags: Vec<String> =
        update.attributes.large_communities.iter().map(|[a, b, c]| format!("{a}:{b}:{c}")).collect();
    screen.fact("tags", &format!("{} (owner, not-after, mitigation)", tags.join(" ")));
    screen.fact("so", "everything by UDP is limited but port 53, which this server serves");
    ensure!(
        update.parsed["destination-port"] == serde_json::json!(["<53", ">53"]),
        "the rule does not spare port 53: {rule}"
    );
    Ok(())
}

/// Seconds from `start` until the router had the update.
#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds since 1970 are exact in a double until the year 2255"
)]
fn after(update: &RouterUpdate, start: DateTime<Utc>) -> f64 {
    update.at - start.timestamp_micros() as f64 / 1e6
}

fn time(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%H:%M:%S UTC")
}
