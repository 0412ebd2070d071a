import { pretend } from "./pretend.ts";

pretend("macos");
