/** What the import map puts in the place of `../multiply.ts`. */
export function multiply(a: number, b: number): number {
  return a * b;
}
