-- keep_trails: makes room for what couriers will tell, and drops what is older than it is kept.
-- => dropped int4
-- locks: an advisory lock of its own; location_trail while a partition comes or goes
-- used by: store::trails
select keep_trails() as dropped
