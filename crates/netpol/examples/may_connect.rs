//! Answers one question about policies: `cargo run -p netpol --example may_connect < policies.yaml`.

use std::io::{self, Read as _, Write as _};

use netpol::model::reader;
use netpol::query::{EndpointSpec, NO_ROLES, QueryScope, parse_destination};
use netpol::verdict::Question;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut manifest = Vec::new();
    io::stdin().read_to_end(&mut manifest)?;
    let model = reader::read(&manifest, "standard input", "default").map_err(|e| e.to_string())?;
    let from = EndpointSpec::parse("pod:app=web", &NO_ROLES)?;
    let (to, ports) = parse_destination("pod:app=db:5432/TCP", &NO_ROLES)?;
    let question = Question { from, to, ports };
    let scope = QueryScope {
        namespace: Some("default".to_owned()),
        ..QueryScope::default()
    };
    let answer = question.ask(&model, &scope)?;
    write!(io::stdout(), "{}", answer.in_words())?;
    Ok(())
}
