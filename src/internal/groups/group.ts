/**
 * Implementation of the functions of the module `Group`.
 *
 * @module
 */
import type * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import type * as Group from "../../Group.ts";
import * as Arguments from "../os/arguments.ts";
import { duration } from "../os/durations.ts";
import { GroupError } from "./errors.ts";
import { run } from "./run.ts";

const { count, effect, func, iterable, optional, positiveOrInfinite } = Arguments;

const optionChecks: Arguments.Checks = { concurrency: optional(positiveOrInfinite) };

const partialChecks: Arguments.Checks = { ...optionChecks, deadline: duration };

const invalid = (method: string, wrong: string | undefined): GroupError | undefined =>
  wrong === undefined
    ? undefined
    : new GroupError({ reason: "InvalidArgument", message: Arguments.invalidArgument(`Group.${method}`, wrong) });

/** Checks the arguments of a function, and passes the members on as a list. */
const checked = <A, E, R, A2, E2, R2>(
  method: string,
  members: Iterable<Effect.Effect<A, E, R>>,
  options: object,
  others: { readonly values: object; readonly checks: Arguments.Checks },
  use: (members: ReadonlyArray<Effect.Effect<A, E, R>>) => Effect.Effect<A2, E2, R2>,
): Effect.Effect<A2, E2 | GroupError, R2> =>
  Effect.suspend((): Effect.Effect<A2, E2 | GroupError, R2> => {
    const wrong = invalid(method, Arguments.wrong({ members }, { members: iterable })) ??
      invalid(method, Arguments.wrong(others.values, others.checks)) ??
      invalid(
        method,
        Arguments.wrong(
          { options },
          { options: Arguments.options(method === "partial" ? partialChecks : optionChecks) },
        ),
      );
    if (wrong !== undefined) return Effect.fail(wrong);
    const list = [...members];
    const fault = Arguments.arrayOf(effect, "Effects")(list);
    const bad = invalid(method, fault === undefined ? undefined : `members ${fault}`);
    return bad === undefined ? use(list) : Effect.fail(bad);
  });

const none = { values: {}, checks: {} };

const failures = (causes: ReadonlyArray<Cause.Cause<unknown> | undefined>): ReadonlyArray<Cause.Cause<unknown>> =>
  causes.filter((cause) => cause !== undefined);

const tooFew = (
  wanted: string,
  total: number,
  causes: ReadonlyArray<Cause.Cause<unknown> | undefined>,
): GroupError =>
  new GroupError({
    reason: "TooFew",
    message: `Cannot finish the group: ${wanted}, and of ${total} members ${failures(causes).length} failed`,
    causes: failures(causes),
  });

export const all = <A, E, R>(
  members: Iterable<Effect.Effect<A, E, R>>,
  options: Group.Options,
): Effect.Effect<Array<A>, E | GroupError, R> =>
  checked("all", members, options, none, (members) =>
    Effect.suspend(() => {
      const { concurrency = Infinity } = options;
      const values = new Array<A>(members.length);
      let failure: Exit.Exit<never, E> | undefined;
      const ran = run(members, {
        concurrency,
        deadline: undefined,
        enough: (exit, index) => {
          if (Exit.isSuccess(exit)) values[index] = exit.value;
          else failure = exit as Exit.Exit<never, E>;
          return failure !== undefined;
        },
      });
      return Effect.flatMap(ran, () => failure ?? Effect.succeed(values));
    }));

/** Waits for `wanted` members whose values the predicate accepts. */
const some = <A, E, R>(
  members: ReadonlyArray<Effect.Effect<A, E, R>>,
  { concurrency = Infinity }: Group.Options,
  wanted: number,
  accepts: (value: A) => boolean,
  what: string,
): Effect.Effect<Array<A>, GroupError, R> =>
  Effect.suspend(() => {
    const values: Array<A> = [];
    const causes = new Array<Cause.Cause<unknown> | undefined>(members.length);
    if (wanted === 0) return Effect.succeed(values);
    let defect: { readonly thrown: unknown } | undefined;
    const ran = run(members, {
      concurrency,
      deadline: undefined,
      enough: (exit, index) => {
        if (Exit.isFailure(exit)) causes[index] = exit.cause;
        else {
          try {
            if (accepts(exit.value)) values.push(exit.value);
          } catch (thrown) {
            defect = { thrown };
          }
        }
        return defect !== undefined || values.length === wanted;
      },
    });
    return Effect.flatMap(ran, (): Effect.Effect<Array<A>, GroupError> => {
      if (defect !== undefined) return Effect.die(defect.thrown);
      return values.length === wanted ? Effect.succeed(values) : Effect.fail(tooFew(what, members.length, causes));
    });
  });

export const any = <A, E, R>(
  members: Iterable<Effect.Effect<A, E, R>>,
  options: Group.Options,
): Effect.Effect<A, GroupError, R> =>
  checked(
    "any",
    members,
    options,
    none,
    (members) => Effect.map(some(members, options, 1, () => true, "one was to succeed"), ([value]) => value),
  );

export const first = <A, E, R>(
  members: Iterable<Effect.Effect<A, E, R>>,
  n: number,
  options: Group.Options,
): Effect.Effect<Array<A>, GroupError, R> =>
  checked(
    "first",
    members,
    options,
    { values: { n }, checks: { n: count } },
    (members) => some(members, options, n, () => true, `${n} were to succeed`),
  );

export const until = <A, E, R>(
  members: Iterable<Effect.Effect<A, E, R>>,
  predicate: (value: A) => boolean,
  options: Group.Options,
): Effect.Effect<A, GroupError, R> =>
  checked(
    "until",
    members,
    options,
    { values: { predicate }, checks: { predicate: func } },
    (members) =>
      Effect.map(
        some(members, options, 1, predicate, "one was to have a value that the predicate accepts"),
        ([value]) => value,
      ),
  );

export const partial = <A, E, R>(
  members: Iterable<Effect.Effect<A, E, R>>,
  options: Group.PartialOptions,
): Effect.Effect<Array<Option.Option<Exit.Exit<A, E>>>, GroupError, R> =>
  checked("partial", members, options, none, (members) =>
    Effect.suspend(() => {
      const { concurrency = Infinity, deadline } = options;
      const exits = Array.from(members, () => Option.none<Exit.Exit<A, E>>());
      const ran = run(members, {
        concurrency,
        deadline,
        enough: (exit, index) => {
          exits[index] = Option.some(exit);
          return false;
        },
      });
      return Effect.as(ran, exits);
    }));
