# A worker of client/python: see test/perl/WorkerStories.pm.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use WorkerStories;

worker_stories('python');
