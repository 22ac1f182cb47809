"""The numbers of a screen: arrays and tables in, arrays, tables and small dataclasses out."""
