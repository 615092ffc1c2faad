//! Metrics: every one of them exists from the start, and they are served on a listener of their own.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, get};
use actix_web::{App, HttpResponse, HttpServer};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

mod table;

use self::table::{Kind, METRICS, Metric};

/// Connections at once: descriptors are for other things.
const MOST_READERS: usize = 16;

/// How long a reader may wait before it reads again on the same connection. Most read every 15 s and come again.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The recorder of this process, and the text it can be read as.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder; once per process.
    pub fn install(pop: &str, version: &'static str) -> Result<Self, BuildError> {
        let metrics = Self(builder()?.install_recorder()?);
        start_at_zero(pop, version);
        Ok(metrics)
    }

    /// The exposition format of Prometheus.
    pub fn render(&self) -> String {
        complete(self.0.render())
    }

    /// Folds what was recorded since the last call; to be called every few seconds, also when nobody reads.
    pub fn fold(&self) {
        self.0.run_upkeep();
    }

    /// Serves `/metrics`, and nothing else, on its own address.
    pub fn serve(&self, at: SocketAddr) -> io::Result<Server> {
        let metrics = self.clone();
        let app = move || {
            App::new().app_data(Data::new(metrics.clone())).route(
                "/metrics",
                get().to(async |metrics: Data<Self>| {
                    let kind = (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
                    HttpResponse::Ok().insert_header(kind).body(metrics.render())
                }),
            )
        };
        let server = HttpServer::new(app).workers(1).max_connections(MOST_READERS).keep_alive(KEEP_ALIVE);
        Ok(server.disable_signals().bind(at)?.run())
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    METRICS.iter().try_fold(PrometheusBuilder::new(), |builder, metric| match metric.kind {
        Kind::Histogram(buckets) => {
            builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
        }
        Kind::Counter | Kind::Gauge => Ok(builder),
    })
}

/// Registers each series whose labels are known.
fn start_at_zero(pop: &str, version: &'static str) {
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
        }
        for labels in metric.series.known(pop) {
            let labels: Vec<metrics::Label> =
                labels.into_iter().map(|(key, value)| metrics::Label::new(key, value)).collect();
            match metric.kind {
                Kind::Counter => metrics::counter!(metric.name, labels).absolute(0),
                Kind::Gauge => metrics::gauge!(metric.name, labels).set(0.0),
                Kind::Histogram(_) => {}
            }
        }
    }
    metrics::gauge!("prefixd_build_info", "version" => version).set(1.0);
}

/// Adds what the recorder leaves out because nothing was recorded yet.
fn complete(mut text: String) -> String {
    for metric in METRICS {
        if text.contains(&format!("# TYPE {} ", metric.name)) {
            continue;
        }
        text.push_str(&untouched(metric));
    }
    text
}

fn untouched(metric: &Metric) -> String {
    let (name, kind) = (metric.name, metric.kind.word());
    let mut out = format!("# HELP {name} {}\n# TYPE {name} {kind}\n", metric.help);
    if let (Kind::Histogram(buckets), true) = (metric.kind, metric.series.is_unlabelled()) {
        let ends = buckets.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        out.extend(ends.map(|end| format!("{name}_bucket{{le=\"{end}\"}} 0\n")));
        out.extend([format!("{name}_sum 0\n{name}_count 0\n")]);
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recorder of this test alone.
    fn rendered(record: impl FnOnce()) -> String {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            start_at_zero("fra1", "1.2.3");
            record();
        });
        complete(handle.render())
    }

    #[test]
    fn every_metric_exists_from_the_start() {
        let text = rendered(|| {});
        for metric in METRICS {
            assert!(
                text.contains(&format!("# TYPE {} {}\n", metric.name, metric.kind.word())),
                "{}",
                metric.name
            );
        }
        for line in [
            "prefixd_build_info{version=\"1.2.3\"} 1",
            "prefixd_mitigations_created_total{action_type=\"police\",pop=\"fra1\"} 0",
            "prefixd_guardrail_rejections_total{reason=\"quota_pop\"} 0",
            "prefixd_withdraw_stuck 0",
            "prefixd_expiry_lag_seconds_bucket{le=\"300\"} 0",
            "prefixd_expiry_lag_seconds_count 0",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn what_was_recorded_appears_once() {
        let text = rendered(|| metrics::histogram!("prefixd_expiry_lag_seconds").record(0.05));
        assert_eq!(text.matches("# TYPE prefixd_expiry_lag_seconds ").count(), 1);
        assert!(text.contains("prefixd_expiry_lag_seconds_bucket{le=\"0.1\"} 1"), "{text}");
    }

    #[actix_web::test]
    async fn only_the_metrics_path_answers() {
        let recorder = builder().unwrap().build_recorder();
        let metrics = Metrics(recorder.handle());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let server = metrics.serve(at).unwrap();
        let handle = server.handle();
        let task = actix_web::rt::spawn(server);
        let status = async |path: &str| {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(status("/metrics").await, "200");
        assert_eq!(status("/").await, "404");
        assert_eq!(status("/v1/health").await, "404");
        handle.stop(false).await;
        task.await.unwrap().unwrap();
    }
}
