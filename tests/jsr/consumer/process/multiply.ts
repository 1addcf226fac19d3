/** Never called: the import map puts `mapped/multiply.ts` in the place of this module. */
export function multiply(_a: number, _b: number): number {
  throw new Error("The import map of the program is not in use");
}
