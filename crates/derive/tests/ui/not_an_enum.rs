#[derive(factum_derive::Event)]
struct Deposited {
    amount: i64,
}

fn main() {}
