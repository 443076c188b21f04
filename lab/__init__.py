"""The push-pull lab: messaging experiments on several machines, judged claim by claim."""
