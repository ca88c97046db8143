//! What do the read models come to, counted straight over the file? No code of this project is used for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// One activity as the file has it.
struct Activity {
    name: String,
    transition: String,
    employee: String,
    /// Unix milliseconds.
    at: i64,
}

/// The file, application by application.
pub(crate) struct Book(BTreeMap<String, Vec<Activity>>);

/// The rows of a table as text.
pub(crate) type Rows = Vec<Vec<String>>;

impl Book {
    /// Reads an XES file, gzip or plain.
    pub(crate) fn read(path: &Path) -> Self {
        let mut file = File::open(path).unwrap();
        let mut text = String::new();
        match path.extension().is_some_and(|extension| extension == "gz") {
            true => flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap(),
            false => file.read_to_string(&mut text).unwrap(),
        };
        let mut book = BTreeMap::new();
        // The elements outside of traces describe the file; the last number before a trace's end is the trace's own.
        let (mut number, mut activities) = (String::new(), Vec::new());
        let mut event: Option<BTreeMap<&str, &str>> = None;
        for element in text.split('<') {
            let parts: Vec<_> = element.split('"').collect();
            match (element.trim_end(), &mut event, &parts[..]) {
                ("trace>", ..) => activities.clear(),
                ("/trace>", ..) => {
                    book.insert(std::mem::take(&mut number), std::mem::take(&mut activities));
                }
                ("event>", ..) => event = Some(BTreeMap::new()),
                ("/event>", Some(told), _) => {
                    activities.push(Activity {
                        name: told["concept:name"].to_owned(),
                        transition: told["lifecycle:transition"].to_owned(),
                        employee: (*told.get("org:resource").unwrap_or(&"nobody")).to_owned(),
                        at: millis(told["time:timestamp"]),
                    });
                    event = None;
                }
                (_, Some(told), [_, key, _, value, _]) => {
                    told.insert(key, value);
                }
                (_, None, [_, "concept:name", _, value, _]) => number = (*value).to_owned(),
                _ => {}
            }
        }
        Self(book)
    }

    pub(crate) fn funnel(&self) -> Rows {
        const STATES: [&str; 5] = ["A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED", "A_DECLINED", "A_CANCELLED"];
        const GRANTS: [&str; 3] = ["A_APPROVED", "A_REGISTERED", "A_ACTIVATED"];
        let mut weeks: BTreeMap<String, [u64; 7]> = BTreeMap::new();
        for activities in self.0.values() {
            let has = |name: &str| u64::from(activities.iter().any(|activity| activity.name == name));
            let submitted = activities.iter().find(|activity| activity.name == "A_SUBMITTED").unwrap();
            let [preaccepted, accepted, finalized, declined, cancelled] = STATES.map(has);
            let granted = GRANTS.map(has).into_iter().max().unwrap();
            let row = [1, preaccepted, accepted, finalized, granted, declined, cancelled];
            let week = weeks.entry(monday(submitted.at)).or_default();
            week.iter_mut().zip(row).for_each(|(sum, more)| *sum += more);
        }
        let row = |(week, counts): (String, [u64; 7])| {
            [week].into_iter().chain(counts.map(|count| count.to_string())).collect()
        };
        weeks.into_iter().map(row).collect()
    }

    pub(crate) fn decision_times(&self) -> Rows {
        let row = |(number, activities): (&String, &Vec<Activity>)| {
            let submitted = activities.iter().find(|activity| activity.name == "A_SUBMITTED").unwrap().at;
            let decision = activities.iter().find_map(|activity| {
                let what = match activity.name.as_str() {
                    "A_APPROVED" | "A_REGISTERED" | "A_ACTIVATED" => "granted",
                    "A_DECLINED" => "declined",
                    "A_CANCELLED" => "cancelled",
                    _ => return None,
                };
                Some((what, activity.at))
            });
            let null = || "null".to_owned();
            let (what, at, took) = match decision {
                Some((what, at)) => (what.to_owned(), at.to_string(), (at - submitted).to_string()),
                None => (null(), null(), null()),
            };
            vec![number.clone(), submitted.to_string(), what, at, took]
        };
        self.0.iter().map(row).collect()
    }

    pub(crate) fn workload(&self) -> Rows {
        let mut rows: BTreeMap<(String, String), [u64; 3]> = BTreeMap::new();
        for activity in self.0.values().flatten() {
            let is_work = |transition| activity.name.starts_with("W_") && activity.transition == transition;
            let row = rows.entry((activity.employee.clone(), monday(activity.at))).or_default();
            row[0] += 1;
            row[1] += u64::from(is_work("START"));
            row[2] += u64::from(is_work("COMPLETE"));
        }
        let row = |((employee, week), counts): ((String, String), [u64; 3])| {
            [employee, week].into_iter().chain(counts.map(|count| count.to_string())).collect()
        };
        rows.into_iter().map(row).collect()
    }
}

const DAY: i64 = 86_400_000;

/// Unix milliseconds of `2011-10-01T00:38:44.546+02:00`.
fn millis(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    let time = ((number(11..13) * 60 + number(14..16)) * 60 + number(17..19)) * 1_000 + number(20..23);
    let (offset_hours, offset_minutes) = (number(23..26), number(27..29));
    assert!(text.len() == 29 && offset_hours > 0 && offset_minutes == 0, "{text}");
    days(number(0..4), number(5..7), number(8..10)) * DAY + time - offset_hours * 3_600_000
}

/// Days between 1970 and that date, counted one by one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let whole_years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    (1..month).map(|month| days_of(year, month)).sum::<i64>() + whole_years + day - 1
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The Monday of the week in UTC: counted on from Monday, 2011-09-26.
fn monday(at: i64) -> String {
    let weeks = (at - days(2011, 9, 26) * DAY).div_euclid(7 * DAY);
    let (mut year, mut month, mut day) = (2011, 9, 26 + weeks * 7);
    assert!(weeks >= 0);
    while day > days_of(year, month) {
        day -= days_of(year, month);
        (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    }
    format!("{year:04}-{month:02}-{day:02}")
}

#[test]
fn the_calendar_is_right() {
    assert_eq!(millis("1970-01-01T01:00:00.000+01:00"), 0);
    assert_eq!(millis("2012-03-01T00:00:00.001+01:00"), 1_330_556_400_001);
    for (at, week) in
        [("2011-10-02T23:59:59.999+00:00", "2011-09-26"), ("2012-03-01T00:00:00.000+00:00", "2012-02-27")]
    {
        assert_eq!(monday(millis(&at.replace("+00", "+01")) + 3_600_000), week, "{at}");
    }
}
