-- check_cut: looks through the newest partition for what lies beyond its border, while others read
-- and write; whether there is a border.
-- => checked bool
-- used by: store::upkeep
select check_cut() as checked
