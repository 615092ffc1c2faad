//! The dead man's guard: own paths leave the speaker when their time is over, whether or not a daemon lives.
