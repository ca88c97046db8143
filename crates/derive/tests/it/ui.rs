//! Does each refusal point at its place and say what to do?

#[test]
fn refusals_help() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
