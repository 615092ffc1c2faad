//! Real speakers, routers and databases, and fakes of the ports, for tests.
