-- Room for a verdict to be kept in place (HOT): nearly all of a page's actors get two versions between one turn and the next.
ALTER TABLE actor SET (fillfactor = 70);
