//! What must hold before a change lands? The same steps here and in CI, cheapest first, one build profile for all.

use std::time::Instant;

use crate::step::Step;
use crate::{test, tidy};

type Check = fn() -> Result<(), String>;

/// Runs every step and stops at the first that fails.
pub(crate) fn run(_arguments: &[String]) -> Result<(), String> {
    let steps: [(&str, Check); 6] = [
        ("fmt", || Step::cargo(&["fmt", "--all", "--check"]).run()),
        ("tidy", || tidy::run(&[])),
        ("clippy", || Step::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()),
        ("codegen", || Step::cargo(&["run", "--quiet", "--package", "codegen", "--", "--check"]).run()),
        ("docs", || {
            // Dependencies are checked, not documented; the warnings that count are ours.
            Step::cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"])
                .env("RUSTDOCFLAGS", "-D warnings")
                .run()
        }),
        ("test", || test::run(&[])),
    ];
    let started = Instant::now();
    for (number, (name, step)) in steps.iter().enumerate() {
        println!("\n=== ci {}/{}: {name} (after {} s)", number + 1, steps.len(), started.elapsed().as_secs());
        step().map_err(|why| format!("step '{name}' failed: {why}"))?;
    }
    println!("ci: all {} steps passed in {} s", steps.len(), started.elapsed().as_secs());
    Ok(())
}
