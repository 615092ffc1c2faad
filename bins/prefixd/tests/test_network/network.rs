//! A network of its own for each test: speaker, routers, database, daemon, and the people around it.

use super::{Detector, RawHttp, Router, configuration};
use prefix_client::{Client, ClientOptions, Mitigation, MitigationId, MitigationQuery, MitigationStatus};
use prefix_testkit::lab::{
    Bird, Daemon, DaemonBuilder, Database, Exabgp, Frr, GobgpVersion, Gobgpd, LabError, Namespace, Postgres,
    PostgresBuilder, RouterSeat, Uplink, wait, wrong_clock,
};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Not the speaker's, so that sessions are external.
const ROUTER_ASN: u32 = 65120;

/// What a network will be like.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each part is there or not, whatever the others are")]
pub(crate) struct NetworkBuilder {
    version: GobgpVersion,
    second: Option<GobgpVersion>,
    exabgp: bool,
    bird: bool,
    frr: bool,
    is_far: bool,
    storage: Storage,
    clock_ahead: Option<i64>,
    settings: Vec<(String, Value)>,
    playbooks: String,
    inventory: String,
    descriptors: Option<u32>,
}

#[derive(Debug)]
enum Storage {
    Sqlite,
    SharedPostgres,
    OwnPostgres(PostgresBuilder),
}

impl NetworkBuilder {
    /// With ExaBGP as a router ([`Network::router`]): the one that shows every byte.
    pub(crate) fn exabgp(mut self) -> Self {
        self.exabgp = true;
        self
    }

    /// With a second speaker, gobgpd of this version: they are called `rs1` and `rs2`. Routers have sessions with the first.
    pub(crate) fn second_speaker(mut self, version: GobgpVersion) -> Self {
        self.second = Some(version);
        self
    }

    /// With BIRD as a router.
    pub(crate) fn bird(mut self) -> Self {
        self.bird = true;
        self
    }

    /// With FRR as a router.
    pub(crate) fn frr(mut self) -> Self {
        self.frr = true;
        self
    }

    /// With speaker and router beyond a network that can be cut ([`Network::between`]).
    pub(crate) fn far_away(mut self) -> Self {
        self.is_far = true;
        self
    }

    /// With PostgreSQL instead of SQLite.
    pub(crate) fn postgres(mut self) -> Self {
        self.storage = Storage::SharedPostgres;
        self
    }

    /// With a PostgreSQL that the test may stop.
    pub(crate) fn own_postgres(self) -> Self {
        self.own_postgres_like(Postgres::builder())
    }

    /// With such a PostgreSQL, which the test may stop.
    pub(crate) fn own_postgres_like(mut self, postgres: PostgresBuilder) -> Self {
        self.storage = Storage::OwnPostgres(postgres);
        self
    }

    /// With a daemon that may have so many descriptors.
    pub(crate) fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// With a daemon whose machine's clock is so many seconds ahead.
    pub(crate) fn clock_ahead(mut self, seconds: i64) -> Self {
        self.clock_ahead = Some(seconds);
        self
    }

    /// With this key of prefixd.yaml, like `quotas.max_active_per_pop`.
    pub(crate) fn setting(mut self, path: &str, value: impl Into<Value>) -> Self {
        self.settings.push((path.to_owned(), value.into()));
        self
    }

    /// With one playbook of these steps for every vector.
    pub(crate) fn steps(mut self, steps: &[&str]) -> Self {
        self.playbooks = configuration::playbooks(steps);
        self
    }

    /// With this entry for carpet bombing, after the playbooks.
    pub(crate) fn carpet(mut self, entry: &str) -> Self {
        self.playbooks = format!("{}carpet: [{entry}]\n", self.playbooks);
        self
    }

    /// With this playbook file.
    pub(crate) fn playbooks(mut self, text: String) -> Self {
        self.playbooks = text;
        self
    }

    /// With this inventory instead of the one that every test knows.
    pub(crate) fn inventory(mut self, text: &str) -> Self {
        text.clone_into(&mut self.inventory);
        self
    }

    /// Starts everything, the daemon last, and waits until all sessions are up.
    pub(crate) async fn start(self) -> Network {
        Box::pin(self.try_start()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_start(self) -> Result<Network, LabError> {
        let seats =
            [RouterSeat::claim(ROUTER_ASN)?, RouterSeat::claim(ROUTER_ASN)?, RouterSeat::claim(ROUTER_ASN)?];
        let [exabgp_seat, bird_seat, frr_seat] = &seats;
        let mut speaker = Gobgpd::version_of(self.version);
        for (seat, wanted) in seats.iter().zip([self.exabgp, self.bird, self.frr]) {
            if wanted {
                speaker = speaker.neighbor(seat);
            }
        }
        let mut between = None;
        if self.is_far {
            let namespace = Arc::new(Namespace::create().await?);
            let uplink = namespace.join_machine().await?;
            speaker = speaker.inside(&namespace, uplink.inside());
            between = Some((namespace, uplink));
        }
        let speaker = speaker.start().await?;
        let (router, bird, frr) = tokio::try_join!(
            when(self.exabgp, Exabgp::start(exabgp_seat, &speaker)),
            when(self.bird, Bird::start(bird_seat, &speaker)),
            when(self.frr, Frr::start(frr_seat, &speaker)),
        )?;
        let (postgres, database) = match self.storage {
            Storage::Sqlite => (None, None),
            Storage::SharedPostgres => (None, Some(Postgres::shared_database().await?)),
            Storage::OwnPostgres(builder) => {
                let postgres = builder.start().await?;
                let database = postgres.create_database().await?;
                (Some(postgres), Some(database))
            }
        };
        let folder = tempfile::Builder::new().prefix("prefixd-test-").tempdir().unwrap();
        let storage = database.as_ref().map_or("sqlite://data/prefixd.db", Database::url);
        let second = match self.second {
            Some(version) => Some(Gobgpd::version_of(version).start().await?),
            None => None,
        };
        let mut settings = configuration::settings(&speaker, storage);
        if let Some(second) = &second {
            configuration::set_speakers(&mut settings, &[("rs1", &speaker), ("rs2", second)]);
        }
        for (path, value) in self.settings {
            configuration::set(&mut settings, &path, value);
        }
        configuration::write(folder.path(), &settings, &self.inventory, &self.playbooks);
        let mut daemon = with_clock(daemon(folder.path()), self.clock_ahead)?;
        if let Some(most) = self.descriptors {
            daemon = daemon.descriptors(most);
        }
        let daemon = daemon.start().await?;
        let client = client(&daemon.url());
        Ok(Network {
            detector: Detector::new("netflow", client.clone()),
            raw: RawHttp(daemon.http_address()),
            client,
            daemon,
            router: router.map(|router| Router(Arc::new(router))),
            bird,
            frr,
            speaker,
            second,
            between,
            folder,
            database,
            postgres,
        })
    }
}

async fn when<T>(
    wanted: bool,
    start: impl Future<Output = Result<T, LabError>>,
) -> Result<Option<T>, LabError> {
    if wanted { start.await.map(Some) } else { Ok(None) }
}

fn daemon(folder: &Path) -> DaemonBuilder {
    Daemon::with_configuration(folder).program(program("prefixd"))
}

/// The same on a machine whose clock is so many seconds ahead.
fn with_clock(daemon: DaemonBuilder, ahead: Option<i64>) -> Result<DaemonBuilder, LabError> {
    let Some(ahead) = ahead else { return Ok(daemon) };
    Ok(wrong_clock(ahead)?.into_iter().fold(daemon, |daemon, (name, value)| daemon.env(&name, value)))
}

/// A program of this build, or of the build in `PREFIXD_BIN_DIR`, a release say. Cargo knows only the programs of the
/// package under test; the others stand beside them.
pub(crate) fn program(name: &str) -> PathBuf {
    let program = match std::env::var_os("PREFIXD_BIN_DIR") {
        Some(folder) => PathBuf::from(folder).join(name),
        None => Path::new(env!("CARGO_BIN_EXE_prefixd")).with_file_name(name),
    };
    assert!(program.is_file(), "{} is not built: run `cargo build --workspace --bins`", program.display());
    program
}

fn client(url: &str) -> Client {
    let options = ClientOptions::for_base(url).expect("the daemon's URL");
    Client::new(options).expect("a client")
}

/// Another instance beside the network's daemon.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) detector: Detector,
    pub(crate) client: Client,
    pub(crate) daemon: Daemon,
    path: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Beside {
    /// The folder of its configuration.
    pub(crate) fn folder(&self) -> &Path {
        &self.path
    }
}

/// The network of one test. Everything in it ends with it, the daemon first.
#[derive(Debug)]
pub(crate) struct Network {
    /// Posts events.
    pub(crate) detector: Detector,
    /// Speaks HTTP without manners.
    pub(crate) raw: RawHttp,
    /// The typed client of the API.
    pub(crate) client: Client,
    pub(crate) daemon: Daemon,
    router: Option<Router>,
    bird: Option<Bird>,
    frr: Option<Frr>,
    pub(crate) speaker: Gobgpd,
    second: Option<Gobgpd>,
    between: Option<(Arc<Namespace>, Uplink)>,
    folder: tempfile::TempDir,
    pub(crate) database: Option<Database>,
    pub(crate) postgres: Option<Postgres>,
}

impl Network {
    /// A network whose speaker is gobgpd of this version.
    pub(crate) fn with(version: GobgpVersion) -> NetworkBuilder {
        NetworkBuilder {
            version,
            second: None,
            exabgp: false,
            bird: false,
            frr: false,
            is_far: false,
            storage: Storage::Sqlite,
            clock_ahead: None,
            settings: Vec::new(),
            descriptors: None,
            inventory: configuration::INVENTORY.to_owned(),
            playbooks: configuration::playbooks(&["{action: discard, ttl_seconds: 60}"]),
        }
    }

    /// A network whose speaker is gobgpd 3.10.
    pub(crate) fn with_gobgp_3() -> NetworkBuilder {
        Self::with(GobgpVersion::V3)
    }

    /// A network whose speaker is gobgpd 4.8.
    pub(crate) fn with_gobgp_4() -> NetworkBuilder {
        Self::with(GobgpVersion::V4)
    }

    /// The router that shows every byte: ExaBGP.
    pub(crate) fn router(&self) -> &Router {
        self.router.as_ref().expect("the test asked for no ExaBGP")
    }

    pub(crate) fn bird(&self) -> &Bird {
        self.bird.as_ref().expect("the test asked for no BIRD")
    }

    pub(crate) fn frr(&self) -> &Frr {
        self.frr.as_ref().expect("the test asked for no FRR")
    }

    pub(crate) fn frr_mut(&mut self) -> &mut Frr {
        self.frr.as_mut().expect("the test asked for no FRR")
    }

    /// The second speaker, `rs2`.
    pub(crate) fn second_speaker(&mut self) -> &mut Gobgpd {
        self.second.as_mut().expect("the test asked for one speaker")
    }

    /// The network between the daemon and its speaker.
    pub(crate) fn between(&self) -> &Arc<Namespace> {
        &self.between.as_ref().expect("the test asked for no speaker far away").0
    }

    /// Starts another instance with the same configuration, a folder and a state of its own.
    pub(crate) async fn another_instance(&self) -> Beside {
        self.another(None, |_| {}).await
    }

    /// Starts an instance of another pop on the same database. It announces nothing: this pop's speaker is not its own.
    pub(crate) async fn instance_of_another_pop(&self, pop: &str) -> Beside {
        let change = |settings: &mut Value| {
            settings["pop"] = pop.into();
            settings["mode"] = "dry-run".into();
        };
        self.another(None, change).await
    }

    /// Starts an instance of a pop that has a speaker of its own, on the same database.
    pub(crate) async fn instance_of_pop(&self, pop: &str, speaker: &Gobgpd) -> Beside {
        let change = |settings: &mut Value| {
            settings["pop"] = pop.into();
            settings["bgp"]["gobgp_grpc"] = speaker.grpc_endpoint().into();
            settings["bgp"]["local_asn"] = speaker.asn().into();
            settings["bgp"]["neighbors"] = Value::Array(Vec::new());
        };
        self.another(None, change).await
    }

    /// The same on a machine whose clock is so many seconds ahead.
    pub(crate) async fn another_instance_with_clock(&self, ahead: i64) -> Beside {
        self.another(Some(ahead), |_| {}).await
    }

    /// The next daemon after the network's own has ended: it has its configuration and its state, and a clock that is so
    /// many seconds ahead.
    pub(crate) async fn daemon_with_clock(&self, ahead: i64) -> Beside {
        Self::beside(self.folder(), Some(ahead), None).await
    }

    async fn another(&self, ahead: Option<i64>, change: impl FnOnce(&mut Value)) -> Beside {
        let folder = tempfile::Builder::new().prefix("prefixd-test-").tempdir().unwrap();
        for name in ["prefixd.yaml", "inventory.yaml", "playbooks.yaml"] {
            std::fs::copy(self.folder().join(name), folder.path().join(name)).unwrap();
        }
        let file = folder.path().join("prefixd.yaml");
        let mut settings = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        change(&mut settings);
        std::fs::write(&file, settings.to_string()).unwrap();
        let path = folder.path().to_owned();
        Self::beside(&path, ahead, Some(folder)).await
    }

    async fn beside(path: &Path, ahead: Option<i64>, folder: Option<tempfile::TempDir>) -> Beside {
        let daemon = async { with_clock(daemon(path), ahead)?.start().await };
        let daemon = daemon.await.unwrap_or_else(|error| panic!("{error}"));
        let client = client(&daemon.url());
        Beside {
            detector: Detector::new("netflow", client.clone()),
            client,
            daemon,
            path: path.to_owned(),
            _folder: folder,
        }
    }

    /// The folder of the daemon's configuration.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The daemon's SQLite file.
    pub(crate) fn sqlite_file(&self) -> PathBuf {
        self.folder.path().join("data/prefixd.db")
    }

    /// The mitigations in one of these statuses, newest first, all pages.
    pub(crate) async fn mitigations(&self, status: &[MitigationStatus]) -> Vec<Mitigation> {
        let mut query = MitigationQuery { status: status.to_vec(), ..MitigationQuery::default() };
        query.page.limit = Some(1000);
        let mut pages = self.client.all_mitigations(&query);
        let mut all = Vec::new();
        while let Some(page) = pages.next_page().await.unwrap_or_else(|error| panic!("{error}")) {
            all.extend(page.value.items);
        }
        all
    }

    /// One mitigation.
    pub(crate) async fn mitigation(&self, id: MitigationId) -> Mitigation {
        self.client.mitigation(id).await.unwrap_or_else(|error| panic!("{error}")).value
    }

    /// Waits until a mitigation has this status.
    pub(crate) async fn mitigation_becomes(&self, id: MitigationId, status: &MitigationStatus) -> Mitigation {
        let becomes = wait::until(format!("{id} to be {status}"), wait::PATIENCE, async || {
            let mitigation = self.mitigation(id).await;
            if mitigation.status == *status { Ok(mitigation) } else { Err(mitigation.status.to_string()) }
        });
        becomes.await.unwrap_or_else(|error| panic!("{error}"))
    }
}
