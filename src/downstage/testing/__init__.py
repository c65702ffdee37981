"""In-memory implementations of every port, faults to wrap round them, and the contracts that all must keep.

    world       a whole refresh in memory: two accounts, a plan, its parts; begin, break off, resume
    tables      tables, their reader, their writer            streams   consumers of the tables' streams
    search      domains and indices                           buckets   objects
    simple      clock, events, identity, flags, durable       lanes     copy and verify lanes over memory tables
    faults      a port that dies, raises or refuses           lanework  picklable work for engines
    contracts   suites that an implementation of a port inherits (needs pytest)
    s3_server   an S3 on loopback that keeps the rules a sync's safety rests on, and fails to order: its buckets
                (s3_objects), what befalls a call (s3_faults)

The fakes are public: whoever writes an adapter tests it with these. They keep what they hold in plain attributes, so
that a test may look and meddle. `World.writes` lists every change that was asked of the target, in order.
"""
