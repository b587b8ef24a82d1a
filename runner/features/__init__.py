"""The feature store's way out: tables of features, labels and training rows as Parquet files."""
