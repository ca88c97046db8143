#[derive(factum_derive::Event)]
enum AccountEvent<'a, T> {
    Deposited { account: &'a str, amount: T },
}

fn main() {}
