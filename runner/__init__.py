"""Haven's runner: moves rows into the warehouse, keeps its own state and starts dbt.

It holds no business rule and no table or column name of the marketplace (those live in the dbt project).
"""
