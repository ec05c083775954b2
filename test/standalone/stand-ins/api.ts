import { runStandIn } from './stand-in.ts';

runStandIn('api');
