"""Numbers and words of the pages' sentences that another run may change, one module a chapter; never imports torch."""
