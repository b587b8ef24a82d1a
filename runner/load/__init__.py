"""The loader: one transaction per table moves rows, tombstones, watermark and its ops row together."""
