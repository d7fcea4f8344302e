//! The output of `psql --csv`, read into columns and rows.

/// Rows that are shown at most; a lesson's table has a handful.
const ROWS: usize = 50;
/// Columns that are shown at most.
const COLUMNS: usize = 20;
/// Characters of a cell that are shown at most.
const CELL: usize = 200;

/// What a query found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    /// Each as long as `columns`.
    pub(super) rows: Vec<Vec<String>>,
    /// Whether there are more rows than these.
    pub(super) more: bool,
}

impl Table {
    /// Reads CSV as psql writes it: a line of names, then the rows; what holds a comma, a quote or a
    /// line break stands in quotes, with quotes doubled. Output that was cut loses its last line.
    pub(super) fn read(text: &str, is_cut: bool) -> Self {
        let mut lines = Lines(text);
        let mut table = Self {
            columns: lines.next().unwrap_or_default(),
            rows: Vec::new(),
            more: is_cut,
        };
        table.columns.truncate(COLUMNS);
        let width = table.columns.len();
        for mut row in &mut lines {
            if table.rows.len() == ROWS {
                table.more = true;
                return table;
            }
            row.resize(width, String::new());
            table.rows.push(row);
        }
        if is_cut {
            table.rows.pop();
        }
        table
    }
}

/// One record of CSV after the other.
struct Lines<'a>(&'a str);

impl Iterator for Lines<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        if self.0.is_empty() {
            return None;
        }
        let mut cells = Vec::new();
        let mut cell = Cell::default();
        let mut is_quoted = false;
        let mut rest = self.0.char_indices().peekable();
        let mut end = self.0.len();
        while let Some((at, sign)) = rest.next() {
            match sign {
                '"' if is_quoted && matches!(rest.peek(), Some((_, '"'))) => {
                    rest.next();
                    cell.push('"');
                }
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => cells.push(std::mem::take(&mut cell).text),
                '\n' if !is_quoted => {
                    end = at + 1;
                    break;
                }
                '\r' if !is_quoted => {}
                sign => cell.push(sign),
            }
        }
        cells.push(cell.text);
        self.0 = &self.0[end..];
        Some(cells)
    }
}

/// A cell, cut at the limit with a sign of it.
#[derive(Default)]
struct Cell {
    text: String,
    length: usize,
}

impl Cell {
    fn push(&mut self, sign: char) {
        self.length += 1;
        match self.length {
            ..=CELL => self.text.push(sign),
            length if length == CELL + 1 => self.text.push('…'),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        let row = |row: &&[&str]| row.iter().map(ToString::to_string).collect();
        rows.iter().map(row).collect()
    }

    #[test]
    fn csv_is_read_as_psql_writes_it() {
        for (text, columns, want) in [
            (
                "id,name\n1,apple\n2,orange\n",
                &["id", "name"][..],
                rows(&[&["1", "apple"], &["2", "orange"]]),
            ),
            ("id\n", &["id"], rows(&[])),
            ("", &[], rows(&[])),
            (
                "名前,数\nみかん,3\n",
                &["名前", "数"],
                rows(&[&["みかん", "3"]]),
            ),
            (
                "a,b\n\"x, \"\"y\"\"\n z\",\n",
                &["a", "b"],
                rows(&[&["x, \"y\"\n z", ""]]),
            ),
            ("a\r\n1\r\n", &["a"], rows(&[&["1"]])),
            ("\"a,b\"\n1", &["a,b"], rows(&[&["1"]])),
            // Two answers, one after the other: the rows are never longer than the names.
            ("a\n1\nb,c\n2,3\n", &["a"], rows(&[&["1"], &["b"], &["2"]])),
        ] {
            let table = Table::read(text, false);
            assert_eq!(table.columns, columns, "{text:?}");
            assert_eq!(table.rows, want, "{text:?}");
            assert!(!table.more);
        }
    }

    #[test]
    fn it_has_its_limits() {
        let many: String = (0..60).map(|n| format!("{n}\n")).collect();
        let table = Table::read(&format!("n\n{many}"), false);
        assert_eq!((table.rows.len(), table.more), (ROWS, true));
        let long = "あ".repeat(300);
        let table = Table::read(&format!("n\n{long}\n"), false);
        assert_eq!(table.rows[0][0], format!("{}…", "あ".repeat(CELL)));
        let table = Table::read("n\n1\n2", true);
        assert_eq!((table.rows, table.more), (rows(&[&["1"]]), true));
        let wide = vec!["x"; 40].join(",");
        assert_eq!(Table::read(&wide, false).columns.len(), COLUMNS);
    }
}
