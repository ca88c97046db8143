#[derive(factum::Event)]
struct Deposited {
    amount: i64,
}

fn main() {}
