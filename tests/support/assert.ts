/**
 * The assertions of the tests. The npm build of `@std/assert` has no declarations; `assert.d.ts` has those of what is used.
 *
 * @module
 */
// @ts-types="./assert.d.ts"
export * from "@std/assert";
