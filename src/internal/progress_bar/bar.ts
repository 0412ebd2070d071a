/**
 * Draws a progress on the terminal, with the package `cli-progress`.
 *
 * @module
 */
import library from "cli-progress";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Progress, ProgressSnapshot } from "../../Pool.ts";
import { line } from "./line.ts";

/** The part of the package that is used. Its types need those of Node, which collide with Deno's. */
interface Library {
  readonly SingleBar: new (
    options: {
      readonly hideCursor: boolean;
      readonly gracefulExit: boolean;
      readonly format: (options: unknown, state: { readonly progress: number }) => string;
    },
    preset: unknown,
  ) => {
    readonly start: (total: number, value: number) => void;
    readonly setTotal: (total: number) => void;
    readonly update: (value: number) => void;
    readonly stop: () => void;
  };
  readonly Presets: { readonly shades_classic: unknown };
  readonly Format: { readonly BarFormat: (progress: number, options: unknown) => string };
}

const { Format, Presets, SingleBar } = library as Library;

/** Draws until the scope closes. */
export const draw = (progress: Progress, label: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    let last = yield* progress.snapshot;
    const bar = new SingleBar({
      hideCursor: true,
      gracefulExit: false,
      // A bar of no items is empty, not full.
      format: (options, { progress }) =>
        line(label, Format.BarFormat(last.done + last.failed > 0 ? progress : 0, options), last),
    }, Presets.shades_classic);
    const update = (snapshot: ProgressSnapshot): void => {
      last = snapshot;
      bar.setTotal(snapshot.total._tag === "Some" ? snapshot.total.value : 0);
      bar.update(snapshot.done + snapshot.failed);
    };
    yield* Effect.acquireRelease(
      Effect.sync(() => bar.start(0, 0)),
      () =>
        Effect.map(progress.snapshot, (snapshot) => {
          update(snapshot);
          bar.stop();
        }),
    );
    yield* Effect.forkScoped(Stream.runForEach(progress.changes, (snapshot) => Effect.sync(() => update(snapshot))));
  });
