//! "Did you mean": the nearest of the names that would have been right.

/// A hint that names what was probably meant, or lists what there is; `None` where nothing is known.
///
/// `what` is the plural of the thing, as in `the stages are …`.
pub fn suggest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
    what: &str,
) -> Option<String> {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    if let Some(near) = nearest(written, &known) {
        return Some(format!("did you mean `{near}`?"));
    }
    match known.as_slice() {
        [] => None,
        few if few.len() <= 24 => Some(format!("the {what} are {}", listed(few))),
        many => Some(format!("there are {} {what}, none with a similar name", many.len())),
    }
}

/// The nearest name within a third of its length; the first in order where two are as near.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = written.chars().count().max(3) / 3;
    known
        .iter()
        .filter(|k| k.len().abs_diff(written.len()) <= limit + 2)
        .map(|k| (distance(written, k), *k))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, k)| k)
}

/// Names in backticks with commas between them.
pub fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    quoted.join(", ")
}

/// Levenshtein's distance, with a swap of two neighbours counted as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best =
                (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered() {
        assert_eq!(nearest("verison", &["version", "vars"]), Some("version"));
        assert_eq!(nearest("zzz", &["version", "vars"]), None);
        assert_eq!(nearest("", &[]), None);
    }
}
