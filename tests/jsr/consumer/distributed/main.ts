// A manager, a client of it, and a pool with its worker, within one program. The
// worker's thread that says that it is there is an entry file of the package.

// deno-lint-ignore-file no-import-prefix no-unversioned-import -- the point of this program
import {
  defineManager,
  RemotePool,
  serveWorker,
} from "jsr:@multitask/std/distributed";
import { Queue } from "jsr:@multitask/std/ipc";

const authkey = "a long random secret";
const queue = new Queue<string>();
const Master = defineManager({ getQueue: () => queue });
const master = new Master({ authkey });
await master.start();
const { address } = master;

const Client = defineManager<typeof Master>();
const client = new Client({ address, authkey });
await client.connect();
const far = await client.getQueue();
await far.put("from afar");
console.log(await queue.get());
await client.shutdown();

const tasks = { square: (n: number) => n * n };
const worker = serveWorker({ address, authkey, tasks });
const pool = new RemotePool<typeof tasks>({ address, authkey });
console.log(await pool.map("square", [1, 2, 3]));
// Longer than it takes to load the thread.
await new Promise((resolve) => setTimeout(resolve, 1000));
pool.close();
await pool.join();
await worker.close();
await master.shutdown();
