//! Which known name may have been meant?

/// Longest name that is compared, in characters: the work grows with the square of it.
const MAX_COMPARED: usize = 256;

/// The known name that is most like `name`, if one is so like it that it may have been meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let (distance, best) = known
        .into_iter()
        .map(|known| (distance(name, known), known))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + name.chars().count() / 4).then(|| best.to_owned())
}

/// How many letters must be put in, left out or changed; case counts for nothing.
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| text.to_lowercase().chars().take(MAX_COMPARED).collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = change.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn what_is_nearly_right_is_found_and_what_is_not_is_not() {
        let known = ["FundsDeposited", "FundsWithdrawn", "AccountOpened"];
        assert_eq!(nearest("FundsDeposit", known).as_deref(), Some("FundsDeposited"));
        assert_eq!(nearest("fundswithdrawn", known).as_deref(), Some("FundsWithdrawn"));
        assert_eq!(nearest("OrderPlaced", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
