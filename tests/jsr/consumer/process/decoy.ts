// The import map gives this module to whoever asks for "@std/async" and its like:
// a program may use any name for what it likes. The package must not get it.
throw new Error(
  "The package took a dependency from the import map of its user",
);
