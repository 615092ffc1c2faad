-- One rule may be wanted by several mitigations of a pop: it stands while any of them wants it.
DROP INDEX mitigations_claim;
