# Becomes the command, and leaves a shell behind that holds the other end of our parent's pipe (fd 3). The pipe closes
# however the parent dies; then the shell ends the command: SIGTERM, and when that takes longer than the limit, or has
# left children of the command behind, SIGKILL for the whole process group. So the pid is the command's own, and
# nothing is needed that only one system has.
# usage: sh guard.sh LIMIT_IN_TENTHS_OF_A_SECOND COMMAND [ARGUMENT...], as the leader of a process group
limit=$1
shift
# In a container nobody may collect the dead, and a process that is a zombie can still be signalled.
alive() { kill -0 "$$" && ! grep -q '^State:.[ZX]' "/proc/$$/status"; }
{
  exec 4<&-
  if ! read -r _; then
    kill -TERM "$$"
    i=0
    while [ "$i" -lt "$limit" ] && alive; do
      sleep 0.1
      i=$((i + 1))
    done
    kill -KILL -"$$"
  fi
} <&3 >/dev/null 2>&1 3<&- &
exec 3<&-
exec "$@"
