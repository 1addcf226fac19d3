/** A temporary directory that goes away with its scope. */
export class TempDir implements AsyncDisposable {
  private constructor(readonly path: string) {}

  /** Makes a directory whose name begins with `prefix`. */
  static async make(prefix: string): Promise<TempDir> {
    // The real path, because that is what a program finds in its module URLs.
    return new TempDir(await Deno.realPath(await Deno.makeTempDir({ prefix })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
