-- What is there before the first migration runs, for sqlc alone.
create schema tasker;
