import { runStandIn } from './stand-in.ts';

runStandIn('simulator');
