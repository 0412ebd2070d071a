import * as Effect from "effect/Effect";
import { Backend, Pool, Process, SubprocessBackend } from "../../mod.ts";
import * as Permission from "../../src/internal/child/permissions.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import { noLeaks } from "../support/leaks.ts";
import { script } from "../support/scripts.ts";
import { temporary, test, warmUp } from "../support/suite.ts";
import * as Tasks from "../support/tasks.ts";
import { fullUnless, testFunction } from "../support/tier.ts";

const layer = (permissions?: Backend.Permissions) =>
  SubprocessBackend.layer(permissions === undefined ? {} : { permissions });

await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), layer()));

const all = {
  read: "allowed",
  write: "allowed",
  env: "allowed",
  net: "allowed",
  run: "allowed",
  sys: "allowed",
  ffi: "allowed",
};
const none = {
  read: "denied",
  write: "denied",
  env: "denied",
  net: "denied",
  run: "denied",
  sys: "denied",
  ffi: "denied",
};

/** A file that all tests here may read, and files beside it that tests write. */
const readable = Effect.acquireRelease(
  temporary,
  (path) =>
    Effect.sync(() => {
      try {
        Deno.removeSync(`${path}.written`);
      } catch {
        // The test was not allowed to write the file.
      }
    }),
);

const attempts = (permissions?: Backend.Permissions) =>
  Effect.flatMap(
    readable,
    (path) => Effect.provide(Process.run(Tasks.attempts, path, "127.0.0.1"), layer(permissions)),
  );

test(
  "permissions: by default a child has what its parent has",
  Effect.map(attempts(), (result) => assertEquals(result, all)),
);

test(
  "permissions: a child that was given none has none, and runs tasks all the same",
  Effect.gen(function* () {
    assertEquals(yield* attempts({}), none);
    assertEquals(yield* Effect.provide(Process.run(Tasks.addEffect, 1, 2), layer({})), 3);
    const pool = yield* Effect.provide(Pool.make({ size: 1 }), layer({}));
    assertEquals(yield* pool.map(Tasks.square, [1, 2, 3]), [1, 4, 9]);
  }),
);

for (const name of ["read", "write", "net", "env", "run", "sys", "ffi"] as const) {
  test(
    `permissions: a child without ${name} cannot use it, although its parent can`,
    Effect.map(
      attempts({ ...SubprocessBackend.inherited(), [name]: false }),
      (result) => assertEquals(result, { ...all, [name]: "denied" }),
    ),
  );
}

test(
  "permissions: a part of a kind may be given (full)",
  Effect.gen(function* () {
    const path = yield* readable;
    const run = (permissions: Backend.Permissions) =>
      Effect.provide(Process.run(Tasks.attempts, path, "127.0.0.1"), layer(permissions));
    assertEquals(yield* run({ read: [path] }), { ...none, read: "allowed" });
    assertEquals(yield* run({ read: ["/somewhere/else"] }), none);
    assertEquals(yield* run({ net: ["127.0.0.1"], env: ["HOME"] }), { ...none, net: "allowed", env: "allowed" });
    assertEquals(yield* run({ net: ["example.com"], env: ["PATH"] }), none);
    assertEquals(yield* run({ read: [] }), none);
  }),
);

test(
  "permissions: a path with a comma, which Deno's command line cannot carry, is refused and not split",
  Effect.gen(function* () {
    const error = yield* Effect.flip(Effect.provide(Process.run(Tasks.add, 1, 2), layer({ read: ["/tmp/a,/etc"] })));
    assertInstanceOf(error, Backend.SpawnError);
    assertEquals(error.reason, "Unsupported");
    assertStringIncludes(error.message, "comma");
  }),
);

Deno.test("permissions: each kind is named on the command line, so that Deno adds none by itself", () => {
  for (const permissions of [{}, { read: [] }, { net: true }]) {
    const flags = Permission.flags(permissions);
    for (const name of ["read", "write", "net", "env", "run", "ffi", "sys", "import"]) {
      if (name !== "import") assert(flags.some((flag) => new RegExp(`^--(allow|deny)-${name}(=|$)`).test(flag)), name);
    }
    assert(!flags.some((flag) => flag === "-A" || flag === "--allow-all"));
  }
});

const limited = (
  name: string,
  flags: ReadonlyArray<string>,
  permissions: Backend.Permissions | undefined,
  check: (output: { readonly inherited?: unknown; readonly child?: unknown; readonly refused?: string }) => void,
): void =>
  testFunction(`permissions: ${name}`, () =>
    noLeaks(async () => {
      const path = await Deno.makeTempFile();
      try {
        const args = permissions === undefined ? [path] : [path, JSON.stringify(permissions)];
        const { code, stderr, stdout } = await script("limited.ts", args, flags).ended;
        assertEquals([code, stderr], [0, ""]);
        const lines = new Map(
          stdout.trim().split("\n").map((line) => {
            const at = line.indexOf(" ");
            return [line.slice(0, at), line.slice(at + 1)];
          }),
        );
        const json = (text: string | undefined): unknown => text === undefined ? undefined : JSON.parse(text);
        const refused = lines.get("refused");
        check({
          inherited: json(lines.get("inherited")),
          child: json(lines.get("child")),
          ...(refused === undefined ? {} : { refused }),
        });
      } finally {
        await Deno.remove(path);
      }
    }), { sanitizeOps: true, sanitizeResources: true });

limited(
  "a child of a program with only run and env cannot read, write or connect",
  ["--allow-run", "--allow-env"],
  undefined,
  ({ child }) => {
    assertEquals(child, { ...none, run: "allowed", env: "allowed" });
  },
);

limited(
  "a part of a permission that the program has is not passed on by itself",
  [`--allow-run=${Deno.execPath()}`, "--allow-env", "--allow-read=/tmp"],
  undefined,
  ({ child, inherited }) => {
    assertEquals(child, { ...none, env: "allowed" });
    assertEquals((inherited as { readonly read: unknown }).read, false);
  },
);

limited(
  "a part of a permission that the program has may be passed on by name",
  ["--allow-run", "--allow-env", "--allow-read=/tmp"],
  { read: ["/tmp"] },
  ({ child }) => assertEquals(child, { ...none, read: "allowed" }),
);

for (
  const [flags, permissions, beyond] of [
    [["--allow-run", "--allow-env"], { read: true }, "read"],
    [["--allow-run", "--allow-env", "--allow-read=/tmp"], { read: true }, "read"],
    [["--allow-run", "--allow-env", "--allow-read=/tmp"], { read: ["/tmp", "/etc"] }, "read=/etc"],
    [["--allow-run", "--allow-env", "--allow-read", "--deny-read=/etc"], { read: true }, "read"],
    [["--allow-run", "--allow-env", "--allow-net=example.com"], { net: ["127.0.0.1"] }, "net=127.0.0.1"],
  ] as const
) {
  limited(
    `${JSON.stringify(permissions)} is PermissionExceeded in a program with ${flags.slice(1).join(" ")}${
      fullUnless(beyond === "read=/etc")
    }`,
    flags,
    permissions,
    ({ child, refused }) => {
      assertEquals(child, undefined);
      assertStringIncludes(refused ?? "", "PermissionExceeded");
      assertStringIncludes(refused ?? "", beyond);
    },
  );
}

limited("a program that may not run Deno is told which flags it needs", ["--allow-env"], undefined, ({ refused }) => {
  assertStringIncludes(refused ?? "", "PermissionDenied");
  assertStringIncludes(refused ?? "", "--allow-run");
});

test(
  "permissions: a working directory that does not exist is NotFound, and starts nothing",
  Effect.gen(function* () {
    const missing = SubprocessBackend.layer({ cwd: "/there/is/no such folder" });
    const error = yield* Effect.flip(Effect.provide(Process.run(Tasks.add, 1, 2), missing));
    assertInstanceOf(error, Backend.SpawnError);
    assertEquals(error.reason, "NotFound");
  }),
);
