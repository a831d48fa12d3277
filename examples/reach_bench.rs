//! Prints how the cost of an answer grows with the number of policies and pods:
//! `cargo run --release --example reach_bench`.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "it prints a table, and its own input is good"
)]

use std::fmt::Write as _;
use std::time::Instant;

use netpol::model::reader;
use netpol::query::{EndpointSpec, QueryScope, parse_destination};
use netpol::verdict::Question;
use vcluster_netpol::vcluster::actors::VOCABULARY;

/// Policies and pods over `namespaces` namespaces, five kinds of pods in each.
fn cluster(policies: usize, pods: usize, namespaces: usize) -> String {
    let mut text = String::new();
    for i in 0..namespaces {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: ns-{i}\n  labels:\n    team: t{}\n",
            i % 7
        );
    }
    for i in 0..pods {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: pod-{i}\n  namespace: ns-{}\n  \
             labels:\n    app: a{}\n    id: p{i}\nspec:\n  containers:\n  - name: c\n    ports:\n    \
             - name: http\n      containerPort: 8080\nstatus:\n  podIP: 10.{}.{}.{}\n",
            i % namespaces,
            i / namespaces % 5,
            i >> 16,
            i >> 8 & 255,
            i & 255
        );
    }
    for i in 0..policies {
        let _ = write!(
            text,
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: p-{i}\n  \
             namespace: ns-{}\nspec:\n  podSelector:\n    matchLabels:\n      app: a{}\n  \
             policyTypes: [Ingress, Egress]\n  ingress:\n  - from:\n    - namespaceSelector:\n        \
             matchLabels:\n          team: t{}\n    ports:\n    - port: http\n  egress:\n  - to:\n    \
             - ipBlock:\n        cidr: 0.0.0.0/0\n        except: [10.{}.0.0/16]\n    \
             - podSelector: {{}}\n",
            i % namespaces,
            i / namespaces % 5,
            i % 5,
            i % 9
        );
    }
    text
}

fn main() {
    println!("policies   pods  classes   read (ms)  one check (ms)  matrix (ms)");
    for (policies, pods) in [
        (10, 50),
        (100, 500),
        (500, 2500),
        (1000, 5000),
        (2000, 10_000),
    ] {
        let text = cluster(policies, pods, 100.min(pods));
        let start = Instant::now();
        let world = reader::read(text.as_bytes(), "bench", "default").expect("a good manifest");
        let read = start.elapsed();

        let (to, ports) =
            parse_destination("ns-7/pod-7:8080/TCP", &VOCABULARY).expect("a good destination");
        let from = EndpointSpec::parse("ns-3/pod-3", &VOCABULARY).expect("a good source");
        let question = Question { from, to, ports };
        let start = Instant::now();
        let answer = question.ask(&world, &QueryScope::default());
        let check = start.elapsed();
        assert!(answer.is_ok());

        let classes = world.classes().len();
        let start = Instant::now();
        let matrix = world.matrix();
        let all = start.elapsed();
        assert!(!matrix.cells.is_empty());
        let ms = |d: std::time::Duration| d.as_secs_f64() * 1000.0;
        println!(
            "{policies:8} {pods:6} {classes:8} {:11.1} {:15.3} {:12.1}",
            ms(read),
            ms(check),
            ms(all)
        );
    }
}
