/** `npm run store-exactness -- [--operations 100000] [--processes 8] [--kills 60] [--stores lmdb,redis]` */
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { REDIS, startService } from '../helpers/real-service.ts';
import { proveExactness, summary } from './exactness.ts';
import { scratch } from './stores.ts';

const { values } = parseArgs({
  options: {
    operations: { type: 'string', default: '100000' },
    processes: { type: 'string', default: '8' },
    kills: { type: 'string', default: '60' },
    stores: { type: 'string', default: 'lmdb,redis' },
  },
});
const plan = {
  operations: Number(values.operations),
  processes: Number(values.processes),
  kills: Number(values.kills),
};
for (const name of values.stores.split(',')) {
  const directory = scratch();
  const service = name === 'redis' ? await startService(REDIS) : undefined;
  const address = service ? `redis://127.0.0.1:${service.port}` : `lmdb:${directory}/store`;
  console.log(`${name}: ${plan.processes} processes, ${plan.operations} operations each`);
  const proof = await proveExactness({ ...plan, address });
  console.log(summary(proof));
  if (proof.faults.length > 0) process.exitCode = 1;
  await service?.stop();
  rmSync(directory, { recursive: true, force: true });
}
