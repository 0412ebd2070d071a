import { pretend } from "./pretend.ts";

pretend("windows");
