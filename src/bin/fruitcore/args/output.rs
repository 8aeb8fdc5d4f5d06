//! How results are written and told.

use clap::{Args, ValueEnum};
use fruitcore::host::sink::{CsvOptions, Format};

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct FormatArgs {
    /// Format of features and components
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: FormatName,
    /// Character between the columns of CSV files; `tab` for a tabulator
    #[arg(long, value_name = "CHAR", default_value = ",", value_parser = parse_separator)]
    pub(crate) csv_separator: u8,
    /// CSV files without a row of column names
    #[arg(long)]
    pub(crate) no_csv_header: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    /// Apache Parquet: path, label, a fixed-size list of f32
    #[default]
    Parquet,
    /// label,path,feat_0,…
    Csv,
    /// Arrow IPC
    Ipc,
}

impl FormatArgs {
    pub(crate) fn csv(&self) -> CsvOptions {
        let mut options = CsvOptions::default();
        options.separator = self.csv_separator;
        options.header = !self.no_csv_header;
        options
    }

    pub(crate) fn format(&self) -> Format {
        match self.format {
            FormatName::Parquet => Format::Parquet,
            FormatName::Csv => Format::Csv(self.csv()),
            FormatName::Ipc => Format::Ipc,
        }
    }
}

#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Report")]
pub(crate) struct ReportArgs {
    /// No progress line and no summary for people; errors only
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// The summary as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_separator(s: &str) -> Result<u8, String> {
    let mut options = CsvOptions::default();
    options.separator = match s.as_bytes() {
        b"tab" | b"\\t" => b'\t',
        [one] => *one,
        _ => return Err("write one character, for instance ';', or `tab`".to_owned()),
    };
    options.check().map_err(|e| e.message().to_owned())?;
    Ok(options.separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators() {
        assert_eq!(parse_separator(";"), Ok(b';'));
        assert_eq!(parse_separator("tab"), Ok(b'\t'));
        for bad in ["", "ab", "\"", "a", "é", "\n", "."] {
            assert!(parse_separator(bad).is_err(), "{bad}");
        }
    }
}
