"""What containers' networks need of processes of ours: the forwarder of ports, the keeper of networks."""
