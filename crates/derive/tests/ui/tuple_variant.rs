#[derive(factum_derive::Event)]
enum AccountEvent {
    Deposited(String, i64),
    Frozen,
}

fn main() {}
