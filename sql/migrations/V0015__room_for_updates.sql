-- Room on each page for the updates of the orders that are on it. With 70, of the updates that
-- change no indexed column every third left its page, and with it wrote to every index.

alter table orders set (fillfactor = 50);
